"""The plan of the guide's experiment as the rehearsal carries it out: its estimates, and its own command lines."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NAME = "qwen2.5-math-7b"  # of the configuration, its model and its experiment
DATASET = "openr1-math-220k"
PROBLEMS = "resources/problems/math-500.parquet"
# what takes answers that are no whole thought, or that benchmarks and other rows hold already
FILTERS = {"closed_thoughts": True, "boxed_answer": True, "overlap_words": 13, "exact_duplicates": True}
# where no engine is installed: a line that is only printed sources this file and starts nothing
SET_PATH = "set_path.sh"


def configuration(folder: Path, shards: int, rows: int) -> Path:
    """config/qwen2.5-math-7b.yaml with filters of rows, and the second engine in `folder`; written there.

    Fewer shards or rows than the dataset has need a source without its lock.
    """
    from distillery import config_file

    raw = config_file.read(ROOT / f"config/{NAME}.yaml")
    hub = raw["datasets"][DATASET]["source"]["hub"]
    hub["lock"] = str(ROOT / hub["lock"])
    if (shards, rows) != (10, hub["rows"]):
        del hub["lock"]
        hub |= {"rows": rows, "files": f"data/train-{{00000..{shards - 1:05d}}}-of-{shards:05d}.parquet"}
    raw["experiments"][NAME]["select"] = FILTERS
    (hardware,) = raw["hardware"].values()
    hardware["set_env"] = [str(folder / SET_PATH)]
    hardware["mindspeed_llm"] = {"python": sys.executable, "directory": str(folder)}
    (folder / SET_PATH).touch()
    path = folder / "rehearsal.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


class Plan:
    """What `plan.py --json` said."""

    def __init__(self, said: Mapping[str, Any]):
        self.jobs = said["jobs"]
        self.steps = {step["name"]: step for step in said["experiments"][NAME]["steps"]}

    @classmethod
    def read(cls, text: str) -> Plan:
        """From all that the command said: beside its JSON, how long it takes."""
        return cls(json.JSONDecoder().raw_decode(text, text.index('{\n  "'))[0])

    def lines(self, rule: str) -> list[list[str]]:
        """The commands of a rule's jobs, in the order of their files.

        Raises:
            ValueError: the plan has none.
        """
        found = [shlex.split(command) for command in sorted(self._commands(rule))]
        if not found:
            raise ValueError(f"the plan has no job of {rule}")
        return found

    def _commands(self, rule: str) -> list[str]:
        return [job["command"] for job in self.jobs if job["rule"] == rule]

    def launches(self) -> list[tuple[list[str], str]]:
        """Of each command that starts ranks: itself, told only to print what it would start, and what the plan says of that."""
        found = [(shlex.split(job["command"]), job["msrun"]) for job in self.jobs if job["msrun"]]
        return [([*line[:2], "--print-only", *line[2:]], started) for line, started in found]

    def flag(self, rule: str, flag: str) -> str:
        """The word after a flag of a rule's first job."""
        return after(self.lines(rule)[0], flag)


def after(line: list[str], flag: str) -> str:
    """The word after a flag."""
    return line[line.index(flag) + 1]
