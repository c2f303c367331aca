"""The small experiment, run line by line as Snakemake prints it, and what each of its commands read and wrote."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import forked
from house import House
from places import FIXTURES, ROOT

SMALL = FIXTURES / "workflow/small.yaml"
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


def planned(path: Path, text: str) -> list[Job]:
    """The jobs of a configuration, in an order in which they can run; makes the folder `path` for them."""
    path.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (path / name).symlink_to(ROOT / name)
    house = House(path)
    house.configfile.write_text(text)
    said = house.snakemake("--dry-run", "--printshellcmds", "--forceall")
    assert said.returncode == 0, said.stderr
    jobs = []
    for block in re.split(r"^\[.*\]\n(?=rule )", said.stdout, flags=re.MULTILINE)[1:]:
        command = re.search(r"^Shell command: (.*?)(?=^\S|\Z)", block, re.MULTILINE | re.DOTALL)[1].strip()
        if command != "None":
            named = re.search(r"^    input: (.*)$", block, re.MULTILINE)
            inputs = tuple(named[1].split(", ")) if named else ()
            jobs.append(Job(block.split()[1].strip(":"), tuple(shlex.split(command)[1:]), inputs))
    return _in_order(jobs)


def _in_order(jobs: list[Job]) -> list[Job]:
    """The dry run's order is a plan's, not a run's: a job comes after those whose outputs it names."""
    outputs = {job: set(_named_outputs(job)) for job in jobs}
    done: list[Job] = []
    while len(done) < len(jobs):
        made = set().union(*(outputs[job] for job in done))
        waiting = set().union(*(outputs[job] for job in jobs if job not in done))
        done += [job for job in jobs if job not in done and not (set(job.inputs) & waiting - made)]
    return done


def _named_outputs(job: Job) -> list[str]:
    words = dict(zip(job.argv, job.argv[1:], strict=False))
    if "--output" in words:
        return [words["--output"], *([words["--summary"]] if "--summary" in words else [])]
    if "--output-prefix" in words:
        return [words["--output-prefix"] + "_manifest.json"]
    folder = words.get("--save-dir") or words.get("--output-dir")
    return [f"{folder}/manifest.json"] if folder else [f"{words['--save']}/done.json"]


def ran(path: Path, text: str) -> list[Job]:
    """Run a configuration in `path`; its jobs, with what each wrote. The graph for the report is drawn by none."""
    jobs = []
    for job in planned(path, text):
        before = listed(path)
        end = run(job, path)
        assert end.returncode == 0, (job, end)
        after = listed(path)
        wrote = tuple(sorted(name for name, stamp in after.items() if before.get(name) != stamp))
        jobs.append(Job(job.rule, job.argv, job.inputs, wrote))
    return jobs


def run(job: Job, path: Path) -> subprocess.CompletedProcess[str]:
    """A job's line in an experiment's folder; what it says goes to its log, errors to both."""
    return forked.run(Path(job.argv[0]).name, *job.argv[1:], cwd=path)


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
