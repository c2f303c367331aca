"""Scripts that are imported together, and findings about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distillery.planning import finding
from distillery.planning.finding import Finding
from distillery.shell.programs import Program
from distillery.shell.script_datasets import Rows
from distillery.shell.script_models import Model
from distillery.shell.shell_commands import Command, Script
from distillery.shell.shell_words import Place
from distillery.shell.stage_values import StageValues

# what authors leave for others to fill in
BLANKS = ("your ", "<", "path/to", "/../")
# what a stage does, in findings
DOING = {
    "tokenize": "the data",
    "convert": "converting",
    "train": "training",
    "generate": "answers",
    "evaluate": "evaluation",
    "export": "the export",
    "reshard": "resharding",
}


@dataclass(frozen=True)
class Scripts:
    """Everything that was read; `stages` holds every program, `chosen` the one of each stage that is imported."""

    scripts: Sequence[Script]
    stages: Sequence[StageValues]
    chosen: Mapping[str, StageValues]
    others: Sequence[Command]
    model: Model
    rows: Rows

    @property
    def programs(self) -> list[Program]:
        return [stage.program for stage in self.stages]

    @property
    def framework(self) -> str:
        """The back end of MindSpeed-LLM that these scripts start, the guide's where none tells."""
        return next((one.framework for one in self.programs if one.framework), "mindspore")


def error(id: str, places: Sequence[Place], found: str, expected: str, fix: str) -> Finding:
    """A plan's error, with script:line in place of keys."""
    return finding.error(id, _lines(places), found, expected, fix)


def warning(id: str, places: Sequence[Place], found: str, expected: str, fix: str) -> Finding:
    """A plan's warning, with script:line in place of keys."""
    return finding.warning(id, _lines(places), found, expected, fix)


def _lines(places: Sequence[Place]) -> list[str]:
    return list(dict.fromkeys(map(str, places)))


def is_blank(path: str) -> bool:
    """Whether a path is left to be filled in."""
    return " " in path or path == path.upper() or any(blank in path.lower() for blank in BLANKS)


def clean(path: str) -> str:
    """A path as it is compared: without ./ and its last slash."""
    return path.rstrip("/").removeprefix("./")
