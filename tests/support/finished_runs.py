"""The small experiment, run line by line as Snakemake prints it, and what each of its commands read and wrote."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import commands
import forked
from house import House
from places import FIXTURES, ROOT

SMALL = FIXTURES / "workflow/small.yaml"
# the rules of its jobs
COMMANDS = (
    "fetch_generated_shard",
    "fetch_generated_problems",
    "fetch_generated_model",
    "fetch_digest",
    "tokenize_shard",
    "tokenize_merge",
    "tokenize_quality",
    "plan_sources",
    "plan_outcome",
    "convert_hf_to_mcore",
    "convert_reshard",
    "convert_prove_round_trip",
    "convert_mcore_to_hf",
    "convert_prove_export",
    "train",
    "generate_base_answers",
    "generate_tuned_answers",
    "evaluate_base",
    "evaluate_tuned",
    "evaluate_compare",
    "report_page",
    "report_rulegraph",
)
# another experiment of the same names, shapes and lengths: its files are whole, and wrong in the first one's place
ANOTHER = {"seed: 1": "seed: 11", "seed: 5": "seed: 55", "seed: 6": "seed: 66", "lr: 0.001": "lr: 0.002"}
LINKED = ("Snakefile", "workflow", "config", "profiles")
# measurements, which differ from run to run, and what a writer leaves beside its output for a moment
UNEQUAL = re.compile(r"^logs/|\.timings\.json$|/metrics\.jsonl$|/lock$|(^|/)\.[^/]*$")


@dataclass(frozen=True)
class Job:
    """A command of the experiment.

    Attributes:
        rule: its rule's name.
        argv: its line, script first; paths are relative to the experiment's folder.
        inputs: files that its rule names.
        wrote: files that it made, measurements left out.
    """

    rule: str
    argv: tuple[str, ...]
    inputs: tuple[str, ...]
    wrote: tuple[str, ...] = ()

    def reads(self, name: str) -> bool:
        """Whether a file is named by the line or the rule, by itself, by a folder of it or by its prefix."""
        words = {*self.argv, *self.inputs} - {*self.wrote}
        if name in self.wrote:
            return False
        return any(name == word or name.startswith((f"{word}/", f"{word}_")) for word in words)


def planned(path: Path, text: str, *targets: str) -> list[Job]:
    """The jobs for these targets of a configuration, else for all, in an order in which they can run; makes the folder `path`."""
    path.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (path / name).symlink_to(ROOT / name)
    house = House(path)
    house.configfile.write_text(text)
    said = house.snakemake("--dry-run", "--printshellcmds", "--forceall", "--", *targets)
    assert said.returncode == 0, said.stdout + said.stderr
    outputs: dict[Job, tuple[str, ...]] = {}
    for block in re.split(r"^\[.*\]\n(?=(?:local)?rule )", said.stdout, flags=re.MULTILINE)[1:]:
        command = re.search(r"^Shell command: (.*?)(?=^\S|\Z)", block, re.MULTILINE | re.DOTALL)[1].strip()
        if command != "None":
            rule = block.split()[1].strip(":")
            job = Job(rule, tuple(shlex.split(command)[1:]), _named("input", block))
            outputs[job] = _named("output", block)
    return _in_order(outputs)


def _named(kind: str, block: str) -> tuple[str, ...]:
    """The files that a block of a dry run lists as a job's input or output."""
    found = re.search(rf"^    {kind}: (.*)$", block, re.MULTILINE)
    return tuple(found[1].split(", ")) if found else ()


def _in_order(outputs: dict[Job, tuple[str, ...]]) -> list[Job]:
    """The dry run's order is a plan's, not a run's: a job comes after those that make what it reads."""
    done: list[Job] = []
    while left := [job for job in outputs if job not in done]:
        waiting = {name for job in left for name in outputs[job]}
        free = [job for job in left if not waiting.intersection(job.inputs)]
        assert free, left
        done += free
    return done


def run(job: Job, path: Path) -> subprocess.CompletedProcess[str]:
    """A job's line in an experiment's folder; what it says goes to its log, errors to both."""
    return forked.run(Path(job.argv[0]).name, *job.argv[1:], cwd=path)


def run_here(job: Job, path: Path) -> subprocess.CompletedProcess[str]:
    """As `run`, but in this process and without a log, unless it computes with MindSpore: a third of a CPU second less."""
    if "--threads" in job.argv:
        return run(job, path)
    log = job.argv.index("--log")
    return commands.here(Path(job.argv[0]).name, *job.argv[1:log], *job.argv[log + 2 :], cwd=path)


def ran(path: Path, text: str) -> list[Job]:
    """Run a configuration in `path`; its jobs, with what each wrote."""
    jobs = []
    for job in planned(path, text):
        before = listed(path)
        end = run(job, path)
        assert end.returncode == 0, (job, end)
        after = listed(path)
        wrote = tuple(sorted(name for name, stamp in after.items() if before.get(name) != stamp))
        jobs.append(Job(job.rule, job.argv, job.inputs, wrote))
    return jobs


def listed(path: Path) -> dict[str, tuple[int, int]]:
    """{name: (time, size)} of what stands in an experiment's folder and is the same in each run of it."""
    files = [one for top in ("resources", "results") for one in (path / top).rglob("*") if one.is_file()]
    found = {str(one.relative_to(path)): one.lstat() for one in files}
    return {
        name: (stat.st_mtime_ns, stat.st_size) for name, stat in found.items() if not UNEQUAL.search(name)
    }


def copied(path: Path, copy: Path) -> None:
    """All that a run left, at `copy`, whatever stands there now."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(path, copy, symlinks=True)
