"""Every act of every command on the disk: killed amid it, with a full disk from it on, with a disk that fails at it, with Ctrl-C.

A killed command leaves whole files only, a refused or interrupted one says why, and the same line once more completes, byte for byte. Without
--whole each command is struck at a few acts in turn. `FAULT_POINTS=FILE` appends how many acts each command has.
"""

from __future__ import annotations

import itertools
import os
import zlib
from pathlib import Path

import pytest
from fault_campaign import Campaign
from fault_points import FAIL, FULL, INTERRUPT, KILL
from finished_runs import COMMANDS

pytestmark = [pytest.mark.long, pytest.mark.mindspore, pytest.mark.faults]
# struck without --whole, each at one act in turn: what takes tenths of a second
QUICK = ("fetch_generated_shard", "fetch_digest", "tokenize_merge", "convert_hf_to_mcore", "convert_reshard")

# what takes seconds, many times: begun before all others, so that no process ends alone with it
LONG = ("report_page", "train", "report_rulegraph", "generate_base_answers", "generate_tuned_answers")
# kills and full disks come at all of their acts, half of them in a test, for two processes; one act in three is interrupted, or fails,
# other ones in every run
HALVES, THIRD = {KILL: 2, FULL: 2}, {FAIL: 3, INTERRUPT: 3}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "command" in metafunc.fixturenames:
        struck = [*LONG, *(command for command in COMMANDS if command not in LONG)]
        struck = struck if metafunc.config.getoption("whole") else QUICK
        cases = [
            (command, do, part)
            for command in struck
            for do in HALVES | THIRD
            for part in range(HALVES.get(do, 1) if command in LONG else 1)
        ]
        metafunc.parametrize("command, do, part", cases)


def test_every_command_that_writes_is_struck(jobs):
    assert {job.rule for job in jobs} == {*COMMANDS}


def test_a_command_struck_at_any_act_is_completed_by_its_rerun(run, jobs, whole, command, do, part, tmp_path):
    job = next(job for job in jobs if job.rule == command)
    campaign = Campaign(job, run / "run", tmp_path / "copy")
    if not whole:
        campaign.strike(do, [1 + zlib.crc32(f"{command} {do}".encode()) % campaign.acts(do)])
    elif command in LONG:
        every = (HALVES | THIRD)[do]
        first = part if do in HALVES else int.from_bytes(os.urandom(1)) % every
        campaign.strike(do, itertools.count(1 + first, every))
    else:
        campaign.strike(do)
    if table := os.environ.get("FAULT_POINTS"):
        with Path(table).open("a") as stream:
            stream.write(f"{command} | {do} | {campaign.struck} | {campaign.reruns}\n")
    assert campaign.struck
    assert not campaign.faults, "\n\n".join(campaign.faults)
