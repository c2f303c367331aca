"""The jobs that Snakemake plans for a configuration, read from its dry run, and the lines of msrun that they start.

A rule cannot see its own DAG, so this asks a second Snakemake: once for all jobs and their commands, once
for those that would run now. What is in the first answer and not in the second is there already.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from distillery.checkpoint_names import WORK
from distillery.fetch import rope_override
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import generate_stage, shape, train_stage
from distillery.model_config import from_config
from distillery.planning.experiment_setup import Setup
from distillery.problems import Problem

HEAD = re.compile(r"^(?:local)?rule (\w+):$")
FIELD = re.compile(r"^    (\w+): (.*)$")
KEY = "KEY"  # of training's work directory: a digest of flags, data and weights, known when those are there
COMMANDS = ("launch", "train_mindspeed", "generate_mindspeed")


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
        """What tells it from all other jobs of a plan: its rule and wildcards."""
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


def msrun(command: str, s: Setup) -> str | None:
    """What a job's command starts on several ranks; None for one without ranks, or of a model not known yet.

    Args:
        command: as Snakemake prints it: an interpreter, a command of ours, its flags.
        s: an experiment that the job belongs to.
    """
    words = shlex.split(command)
    script = Path(words[1]).stem if len(words) > 1 else ""
    if script not in COMMANDS:
        return None
    words = launch_request.arguments(words[2:]) if script == "launch" else words[2:]
    at = words.index("--")
    args, _ = _parser().parse_known_args(words[:at])
    wanted = launch_request.from_args(args, words[at + 1 :])
    if script != "launch":
        if s.known is None:
            return None
        wanted = _of_reference(wanted, args, s)
    job, line = launcher.planned(wanted)
    return shlex.join(line) if job.distributed else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    launch_request.add_flags(parser)
    for flag in ("--log", "--load", "--save", "--data-path", "--tokenizer-name-or-path"):
        parser.add_argument(flag, type=Path)
    return parser


def _of_reference(wanted: Request, args: argparse.Namespace, s: Setup) -> Request:
    """With the script and all flags of MindSpeed-LLM, as its commands will add them."""
    settings = s.experiment.train.rope
    config = rope_override.changed(
        dict(s.known.config),
        rotary_base=settings.rotary_base,
        max_position_embeddings=settings.max_position_embeddings,
    )
    model = commandline.words(shape.architecture(from_config(config, s.known.name)))
    places = {"load": args.load, "tokenizer": args.tokenizer_name_or_path}
    if args.data_path is None:
        words = generate_stage.worker(wanted, model, **places)
    else:
        work = args.save / WORK / KEY
        words = train_stage.worker(wanted, model, save=work, data=args.data_path, resume=False, **places)
    return Request(**{**vars(wanted), "worker": tuple(words)})
