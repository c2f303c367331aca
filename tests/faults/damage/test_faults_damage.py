"""The damage matrix: each file that a step reads, damaged, before each step that reads it.

Every case ends in a Problem that names the file, or in bytes equal to those of an undamaged run. `make faults` tries all of
them, `make test` one damage of every sixth file of a reader. A step that is new in the small experiment is named in finished_runs.COMMANDS.
Files of further sources are in test_faults_damage_sources.py.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from damages import DAMAGES, FINE, Case, cases, outcome
from finished_runs import COMMANDS, Job

pytestmark = pytest.mark.mindspore
# they read nothing of another step
OTHERS = {"fetch_generated_shard", "fetch_generated_problems", "report_rulegraph"}
SHARE = 6
READERS = [command for command in COMMANDS if command not in OTHERS]


def tried(jobs: list[Job], reader: str, whole: bool) -> list[Case]:
    """All cases of a reader; or a damage in turn of every sixth file that its first job reads, one at least, the same in every run."""
    made = sorted({name for job in jobs for name in job.wrote})
    readers = [job for job in jobs if job.rule == reader]
    if whole:
        return list(cases(made, readers, list(DAMAGES)))
    damages, first = [name for name in DAMAGES if name != "swap"], zlib.crc32(reader.encode())
    read = [name for name in made if readers[0].reads(name)]
    share = read[first % min(SHARE, len(read)) :: SHARE]
    return [Case(name, damages[(first + i) % len(damages)], readers[0]) for i, name in enumerate(share)]


@pytest.mark.faults
def test_every_step_is_tried(jobs):
    assert {job.rule for job in jobs} == {*COMMANDS}


@pytest.mark.faults
@pytest.mark.parametrize("reader", READERS)
def test_damage_is_taught_or_harmless(run, other, jobs, whole, reader, tmp_path):
    faults = []
    for case in tried(jobs, reader, whole):
        came, said = outcome(case, run / "run", other, tmp_path / "copy")
        if table := os.environ.get("DAMAGE_TABLE"):
            with Path(table).open("a") as stream:
                stream.write(f"{came} | {case}\n")
        if came not in FINE:
            faults.append(f"{came}: {case}\n{said[-1500:]}")
    assert not faults, "\n\n".join(faults)
