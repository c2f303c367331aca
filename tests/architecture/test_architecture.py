"""How the house is built: which room may know which, and that each module has one name and can be read at a sitting."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from places import ROOT, SCRIPTS

LIBRARY = SCRIPTS / "distillery"
COMMANDS = sorted(SCRIPTS.glob("*.py"))
TESTS = sorted((ROOT / "tests").glob("*/test_*.py"))
# which rooms a room may import, besides itself and the ground floor (the modules that lie in no room). The stages
# that read weights and documents know nothing of one another: they meet in files. The two that compute read both.
ROOMS = {
    "ground": "",
    "fetch": "evaluate tokenize",
    "tokenize": "",
    "convert": "tokenize",
    "engine": "",
    "train": "tokenize convert engine",
    "generate": "tokenize convert engine",
    "evaluate": "",
    "select": "tokenize evaluate",
    "report": "evaluate",
    "launch": "tokenize convert engine train generate",
    "serving": "generate launch",
    "planning": "fetch tokenize generate evaluate launch serving",
    "configure": "planning fetch tokenize evaluate",
    "doctor": "fetch launch",
    "shell": "launch planning",
    "verify": "tokenize convert",
    "trace": "tokenize engine verify",
}
LINES = 250


def dotted(path: Path) -> str:
    """`distillery.tokenize.merge` for its file; a package for its `__init__.py`."""
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in sorted(LIBRARY.rglob("*.py"))}


def room(module: str) -> str:
    """The room of a module of the library: "ground" for those that lie in none."""
    first = module.split(".")[1] if "." in module else ""
    return first if (LIBRARY / first).is_dir() and first else "ground"


@cache
def nodes(path: Path) -> list[ast.AST]:
    """All of a file's syntax, the module itself first; files are read once for all tests."""
    return list(ast.walk(ast.parse(path.read_text())))


def imported(path: Path) -> set[str]:
    """The library's modules that a module imports, in functions and in strings given to import_module too."""
    found, whole = set(), set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import, line {node.lineno}"
            whole |= {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    # a package is imported with each of its modules; only what its own file holds is a use of it
    return {
        name for name in found & MODULES.keys() if MODULES[name].name != "__init__.py" or name in whole
    } | {
        name.rpartition(".")[0]
        for name in found - MODULES.keys()
        if name.rpartition(".")[0] in MODULES and MODULES[name.rpartition(".")[0]].name == "__init__.py"
    }


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What each module of the library imports of it."""
    return {module: imported(path) - {module} for module, path in MODULES.items()}


def test_every_room_is_in_the_table():
    assert {room(module) for module in MODULES} == ROOMS.keys()


@pytest.mark.parametrize("here", ROOMS)
def test_rooms_import_what_lies_below_them(here: str, graph: dict[str, set[str]]):
    allowed = {here, "ground", *ROOMS[here].split()}
    wrong = [
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in sorted(others)
        if room(module) == here and room(other) not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("here", ROOMS)
def test_the_table_allows_only_what_is_used(here: str, graph: dict[str, set[str]]):
    used = {room(other) for module, others in graph.items() if room(module) == here for other in others}
    assert used - {here, "ground"} == set(ROOMS[here].split())


def on_loading(path: Path) -> set[str]:
    """What is imported when a module is: neither in its functions nor for type checkers alone."""
    found, waiting = set(), nodes(path)[:1]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            waiting += ast.iter_child_nodes(node)
    return found


def test_only_what_computes_loads_mindspore():
    """It takes a second or two: planning, launching and the stages that work on files start without it."""
    loads = {module: on_loading(path) for module, path in MODULES.items()}
    heavy = {
        module for module, names in loads.items() if any(n.partition(".")[0] == "mindspore" for n in names)
    }
    while more := {module for module, names in loads.items() if names & heavy} - heavy:
        heavy |= more
    assert {room(module) for module in heavy} <= {"engine", "train", "generate"}
    assert not [path.name for path in COMMANDS if on_loading(path) & heavy]


def test_imports_run_in_no_circle(graph: dict[str, set[str]]):
    """Neither at the top of modules nor in their functions, where a circle would hide."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_the_library_knows_no_command():
    commands = {path.stem for path in COMMANDS}
    for module, path in MODULES.items():
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not commands.intersection(names), f"{module}, line {node.lineno}"


def test_no_name_twice():
    """Neither in two rooms nor for a command and a module; and no command hides a module of Python's own."""
    names = Counter(path.stem for path in [*COMMANDS, *MODULES.values()] if path.name != "__init__.py")
    assert not [name for name, count in names.items() if count > 1]
    assert not {path.stem for path in COMMANDS} & sys.stdlib_module_names


def test_modules_are_short():
    short = [*MODULES.values(), *COMMANDS, *TESTS, *(ROOT / "workflow/rules").glob("*.smk")]
    assert not [path.name for path in short if len(path.read_text().splitlines()) > LINES]


def test_rooms_can_be_looked_over():
    """Who looks for a check or an estimate reads the names in `planning/` first: at most 25 files, checks included."""
    assert len(list((LIBRARY / "planning").rglob("*.py"))) <= 25


def test_ruffs_layout_is_the_only_one():
    for path in [*COMMANDS, *MODULES.values(), *TESTS, *(ROOT / "benchmarks").glob("*.py")]:
        assert not re.search("# fmt[:] (skip|off)", path.read_text()), path.relative_to(ROOT)


def test_docstrings_open_with_what_a_thing_is():
    """Ruff asks for a summary line (D205); it may not be the heading of a section."""
    for path in [*COMMANDS, *MODULES.values()]:
        for node in nodes(path):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                summary = (ast.get_docstring(node) or "").partition("\n")[0]
                assert not re.match(r"(Args|Attributes|Raises|Returns|Yields):", summary), (
                    path.name,
                    node.name,
                )


def test_whatever_rooms_offer_says_what_it_is():
    """Public functions and classes at the top of a module have a docstring."""
    assert not [
        f"{path.relative_to(LIBRARY)}, {node.name}"
        for path in MODULES.values()
        for node in nodes(path)[0].body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]


def test_test_files_are_named_after_their_rooms():
    rooms = {path.parent.name for path in TESTS}
    assert rooms - {"architecture", "common", "faults", "workflow"} <= ROOMS.keys()
    rooms -= {"common"}  # the ground floor's modules stand beside one another, each with its own tests
    assert not [
        path.name
        for path in TESTS
        if path.parent.name in rooms and not path.stem.startswith(f"test_{path.parent.name}")
    ]
    assert len({path.name for path in TESTS}) == len(TESTS)


HEAVY = "torch|transformers|megatron|peft|scipy|statsmodels|snakemake"


def test_files_of_tests_are_collected_without_what_takes_seconds_to_import():
    """Every process of pytest-xdist collects all of them: `lazy.Lazy` stands for what a few of them ask for."""
    likely = [
        path for path in TESTS if re.search(rf"^(import|from) ({HEAVY})\b", path.read_text(), re.MULTILINE)
    ]
    found = {
        path.name: sorted(name for name in on_loading(path) if re.match(rf"({HEAVY})\b", name))
        for path in likely
    }
    assert not {name: names for name, names in found.items() if names}
