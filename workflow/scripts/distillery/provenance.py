"""Digests that say what a result depends on: canonical JSON, and code."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import io
import json
import os
import sys
import tokenize
from collections.abc import Iterable
from pathlib import Path
from token import NAME, NUMBER, OP, STRING
from typing import Any

from distillery import json_files
from distillery.files import sha256, write_text

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
SCRIPTS = Path(__file__).resolve().parent.parent
MEMORY = SCRIPTS / "__pycache__" / f"code.{sys.implementation.cache_tag}.json"
OWN = Path(__file__).read_bytes()  # another way of reading makes old entries worthless
# entries, then half of them go: a version of the code has some 200, and all are read at each start
MOST = 1000


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal for dicts that differ only in key order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """Hex sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def code(*modules: str, data: Iterable[str] = ()) -> str:
    """Short digest of these modules, of every local module they import, directly or not, and of data files.

    Modules are dotted names below workflow/scripts (`preprocess_data`, `distillery.tokenize.packing`).
    Docstrings and comments do not count, so that only edits that can change a result do. Imports
    inside functions are followed; names built at run time are not. Files that the code reads as if they
    were part of it are named by `data`, patterns below workflow/scripts/distillery; Python files are left out.
    """
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(_parsed(name)[1])
    _remember()
    files = {path for pattern in data for path in SCRIPTS.joinpath("distillery").glob(pattern)}
    parts = {name: _parsed(name)[0] for name in seen}
    return digest(
        parts | {path.name: sha256(path) for path in files if path.suffix != ".py" and path.is_file()}
    )[:16]


def rules() -> str:
    """Short digest of the rule files' words, comments, docstrings and layout left out."""
    texts = [path.read_bytes() for path in sorted(SCRIPTS.parent.glob("rules/*.smk"))]
    key = hashlib.sha256(b"\0".join([OWN, *texts])).hexdigest()
    if key not in _memory():
        _memory()[key] = [digest([_words(text) for text in texts]), []]
        _remember()
    return _memory()[key][0][:16]


def _words(text: bytes) -> list[str]:
    """A rule file's words without its docstring."""
    words = [
        t.string for t in tokenize.tokenize(io.BytesIO(text).readline) if t.type in (NAME, OP, NUMBER, STRING)
    ]
    return words[words[0].startswith('"""') :]


@functools.cache
def _parsed(module: str) -> tuple[str, frozenset[str]]:
    """(digest of the module's code, local modules it imports)."""
    path = _source(module)
    assert path is not None, module
    text, package = path.read_bytes(), module if path.name == "__init__.py" else module.rpartition(".")[0]
    key = hashlib.sha256(b"\0".join([OWN, package.encode(), text])).hexdigest()
    if key not in _memory():
        content, imports = _read(text, package)
        _memory()[key] = [content, sorted(imports)]
    content, imports = _memory()[key]
    local = frozenset(name for name in imports if name != module and _source(name) is not None)
    return content, local


def _read(text: bytes, package: str) -> tuple[str, set[str]]:
    """(digest of a module's code, everything that it imports)."""
    tree = ast.parse(text)
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            imports.add(origin)
            imports.update(f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    # importing a.b.c runs a and a.b too
    imports |= {name.rsplit(".", depth)[0] for name in imports for depth in range(1, name.count(".") + 1)}
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports


@functools.cache
def _memory() -> dict[str, list]:
    """What was read of modules before, by their content: reading some 200 anew takes half of a dry run's time."""
    return dict(_written())


@functools.cache
def _written() -> dict[str, list]:
    """The same as the file has it; nothing where it was damaged."""
    try:
        seal, held = json_files.loads(MEMORY.read_text(encoding="utf-8"))
        return held if seal == digest(held) else {}
    except (OSError, ValueError, TypeError):
        return {}


def _remember() -> None:
    """Keep it beside the byte code and, as that, do without where the folder cannot be written."""
    held = _memory()
    if len(_written()) != len(held):
        for key in list(held)[: MOST // 2 if len(held) > MOST else 0]:
            del held[key]
        with contextlib.suppress(OSError):
            write_text(MEMORY, canonical([digest(held), held]))
        _written.cache_clear()


def _source(module: str) -> Path | None:
    """The file of a module below workflow/scripts, or None if it is not ours."""
    return _sources().get(module)


@functools.cache
def _sources() -> dict[str, Path]:
    """The files of all modules: to list them once takes less than to ask for each import whether it is one of them."""
    found = {}
    for folder, _, names in os.walk(SCRIPTS):
        package = os.path.relpath(folder, SCRIPTS).replace(os.sep, ".").removeprefix(".")
        for name in names:
            stem, ending = os.path.splitext(name)
            if ending == ".py":
                found[".".join(filter(None, [package, stem])).removesuffix(".__init__")] = Path(folder, name)
    return found
