"""The commands: named by stage, listed in workflow/scripts/README.md, each entering the library at one place."""

from __future__ import annotations

import ast
import importlib
import re

import pytest
from places import SCRIPTS

from distillery import megatron_flags

STAGES = ("plan", "fetch", "select", "tokenize", "convert", "train", "generate", "evaluate", "report")
# those that bear no stage's word: the guide's four, and what people type or other programs call
KEPT = {
    "preprocess_data": "tokenize",
    "convert_ckpt": "convert",
    "posttrain_gpt": "train",
    "inference": "generate",
    "import_problems": "fetch",
    "import_solutions": "fetch",
    "import_scripts": "plan",
    "score": "evaluate",
    "clean": "any",
    "sizes": "any",
    "doctor": "any",
    "launch": "any",
    "trace_crate": "any",
    "trace_generation": "any",
    "unlock": "any",
    "verify": "any",
    "watch": "any",
}
COMMANDS = sorted(SCRIPTS.glob("*.py"))
INDEX = re.findall(
    r"^\| (\w+) \| `(\w+)\.py` \| (.*) \| `([\w.]+)` \|$",
    (SCRIPTS / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def entries(main: ast.FunctionDef) -> list[str]:
    """The library's functions that a command's main calls, `fetch.locking.run`."""
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}".removeprefix("distillery.")
        for node in ast.walk(main)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    called = (node.func for node in ast.walk(main) if isinstance(node, ast.Call))
    return [
        f"{modules[one.value.id]}.{one.attr}"
        for one in called
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id in modules
    ]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_is_named_by_its_stage_listed_and_enters_at_one_place(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
    (entry,) = entries(main)
    assert re.fullmatch(r"run(_\w+)?", entry.rpartition(".")[2])
    stage = KEPT.get(path.stem, path.stem.split("_")[0])
    assert stage in (*STAGES, "any")
    summary = ast.get_docstring(tree).splitlines()[0]
    assert (stage, path.stem, summary, entry) in INDEX
    assert {node.name for node in tree.body if isinstance(node, ast.ClassDef)} == set()


def test_the_index_lists_the_commands_by_stage_and_no_others():
    assert sorted(name for _, name, _, _ in INDEX) == [path.stem for path in COMMANDS]
    order = [(*STAGES, "any").index(stage) for stage, *_ in INDEX]
    assert order == sorted(order)


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_every_number_has_a_range(path, monkeypatch):
    """int and float alone take -1, and not a number; a range is the schema's, where a key is the same."""
    monkeypatch.syspath_prepend(SCRIPTS)
    parser = importlib.import_module(path.stem).parser()
    bare = {name for one in parser._actions if one.type in (int, float) for name in one.option_strings}
    # the built-in engine's lines say these again: held against config.json, and against 0
    assert bare <= {
        *map(megatron_flags.option, megatron_flags.SHAPE),
        "--attention-dropout",
        "--hidden-dropout",
    }


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_one_helper_makes_the_parsers(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("    parser = command.parser(__doc__)\n") == 1
    assert "ArgumentParser(" not in text
    assert re.search(
        r"^    command\.run\(parser\(\), main(, sampled=True|, leads=False)?\)$", text, re.MULTILINE
    )
