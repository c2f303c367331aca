"""The jobs that Snakemake plans for a configuration, read from its dry run.

A rule cannot see its own DAG, so this asks a second Snakemake: once for all jobs and their commands, once
for those that would run now. What is in the first answer and not in the second is there already.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distillery.problems import Problem

HEAD = re.compile(r"^(?:local)?rule (\w+):$")
FIELD = re.compile(r"^    (\w+): (.*)$")


@dataclass(frozen=True)
class Job:
    """One planned job: its rule, the files it reads and makes, and its command."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    wildcards: str
    command: str

    @property
    def key(self) -> tuple[str, str]:
        return self.rule, self.wildcards


def dry_run(snakefile: Path, configfiles: Iterable[Path], *, everything: bool) -> list[Job]:
    """Jobs in Snakemake's order; with `everything` also those whose results are there.

    Raises:
        Problem: Snakemake cannot plan this configuration.
    """
    line = [sys.executable, "-m", "snakemake", "--dry-run", "--printshellcmds", "--nocolor"]
    line += ["--snakefile", str(snakefile), "--configfile", *map(str, configfiles)]
    answer = subprocess.run(
        [*line, "--forceall"] if everything else line, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise Problem("Snakemake could not plan this", found=(answer.stdout + answer.stderr).strip()[-2000:])
    return parse(answer.stdout + answer.stderr)


def parse(text: str) -> list[Job]:
    """Jobs of a dry run's output with printed shell commands."""
    jobs = []
    for block in re.split(r"\n\s*\n|\n(?=\[\w{3} \w{3})", text):
        lines = block.splitlines()
        start = next((at for at, line in enumerate(lines) if HEAD.match(line)), None)
        if start is None:
            continue
        rule = HEAD.match(lines[start]).group(1)  # type: ignore[union-attr]
        fields = dict(match.groups() for line in lines[start + 1 :] if (match := FIELD.match(line)))
        command = block.partition("\nShell command: ")[2].strip()
        jobs.append(
            Job(
                rule,
                _files(fields.get("input", "")),
                _files(fields.get("output", "")),
                fields.get("wildcards", ""),
                "" if command.startswith("None") else command,
            )
        )
    return jobs


def needed(jobs: Iterable[Job], targets: Iterable[str]) -> set[tuple[str, str]]:
    """Keys of the jobs that lead to these files, those that make them included."""
    makers = {path: job for job in jobs for path in job.outputs}
    seen: set[tuple[str, str]] = set()
    todo = [makers[target] for target in targets if target in makers]
    while todo:
        job = todo.pop()
        if job.key not in seen:
            seen.add(job.key)
            todo.extend(makers[path] for path in job.inputs if path in makers)
    return seen


def _files(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(", ")))
