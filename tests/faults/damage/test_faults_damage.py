"""The damage matrix: each file that a step reads, damaged, before each step that reads it.

Every case ends in a Problem that names the file, or in bytes equal to those of an undamaged run; where one still ends
otherwise, BELIEVED says so. `make faults` tries all of them, `make test` one damage of every third file of a reader. A step
that is new in the small experiment is named in READERS.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zlib
from pathlib import Path

import finished_runs
import pytest
from damages import DAMAGES, FINE, Case, cases, outcome
from finished_runs import ANOTHER, SMALL, Job
from shared import once

pytestmark = pytest.mark.mindspore
READERS = (
    "fetch_generated_model",
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
)
# they read nothing of another step; fetch_digest says what there is, and what reads its file compares
OTHERS = {"fetch_generated_shard", "fetch_generated_problems", "fetch_digest", "report_rulegraph"}

# what these readers still believe, because nothing beside the file says its digest: a gap, not a right. Whoever gives a
# file a digest that its reader compares takes it out here
BELIEVED = {
    "fetch_generated_model": ("*.parquet",),
    "tokenize_quality": ("*.parquet", "*_manifest.json"),
    "plan_sources": ("*.parquet",),
    "plan_outcome": ("*manifest.json", "checks.json", "*.jsonl", "done.json"),
    "generate_base_answers": ("sums-heldout.parquet",),
    "generate_tuned_answers": ("sums-heldout.parquet",),
    "evaluate_base": ("*.jsonl",),
    "evaluate_tuned": ("*.jsonl",),
    "evaluate_compare": ("*.jsonl",),
    "report_page": ("*.json", "*.jsonl", "*.dot", "sums-heldout.parquet"),
}


def make(folder: Path, text: str) -> None:
    """An experiment, run, and jobs.json, its jobs."""
    jobs = finished_runs.ran(folder / "run", text)
    (folder / "jobs.json").write_text(json.dumps([dataclasses.asdict(job) for job in jobs]))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "damaged", lambda folder: make(folder, SMALL.read_text()))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, whole: bool) -> Path | None:
    """Another experiment, whose files are whole and wrong here; only where files are swapped."""
    text = SMALL.read_text()
    for mine, its in ANOTHER.items():
        assert mine in text
        text = text.replace(mine, its)
    return once(tmp_path_factory, "another", lambda folder: make(folder, text)) / "run" if whole else None


@pytest.fixture(scope="session")
def jobs(run: Path) -> list[Job]:
    listed = json.loads((run / "jobs.json").read_text())
    return [Job(**{key: one if key == "rule" else tuple(one) for key, one in job.items()}) for job in listed]


@pytest.fixture(scope="session")
def whole(pytestconfig: pytest.Config) -> bool:
    return pytestconfig.getoption("whole")


def tried(jobs: list[Job], reader: str, whole: bool) -> list[Case]:
    """All cases of a reader; or a damage in turn of every third file that its first job reads, the same in every run."""
    made = sorted({name for job in jobs for name in job.wrote})
    readers = [job for job in jobs if job.rule == reader]
    if whole:
        return list(cases(made, readers, list(DAMAGES)))
    damages, first = [name for name in DAMAGES if name != "swap"], zlib.crc32(reader.encode())
    read = [name for name in made if readers[0].reads(name)][first % 3 :: 3]
    return [Case(name, damages[(first + i) % len(damages)], readers[0]) for i, name in enumerate(read)]


@pytest.mark.faults
def test_every_step_is_tried(jobs):
    assert {job.rule for job in jobs} == {*READERS, *OTHERS}


@pytest.mark.faults
@pytest.mark.parametrize("reader", READERS)
def test_damage_is_taught_or_harmless(run, other, jobs, whole, reader, tmp_path):
    faults = []
    for case in tried(jobs, reader, whole):
        came, said = outcome(case, run / "run", other, tmp_path / "copy")
        if table := os.environ.get("DAMAGE_TABLE"):
            with Path(table).open("a") as stream:
                stream.write(f"{came} | {case}\n")
        known = any(Path(case.name).match(one) for one in BELIEVED.get(reader, ()))
        if came not in FINE and not (came == "silent" and known):
            faults.append(f"{came}: {case}\n{said[-1500:]}")
    assert not faults, "\n\n".join(faults)
