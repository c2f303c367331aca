"""Every command under limits that the kernel keeps: of files, memory and CPU seconds, on tiny disks and on read-only ones.

A command ends well, or says what is wanting, where and what cures it, with nothing half-written; without the limit the same line
then completes, byte for byte. Without --whole each limit strikes one command that is quick.
"""

from __future__ import annotations

import pytest
from fault_campaign import Campaign
from fault_limits import Limit, read_only, tiny, ulimit
from finished_runs import COMMANDS

pytestmark = [pytest.mark.mindspore, pytest.mark.faults]
LARGE = r"File too large|is full"
OPEN = "Too many open files"
MEMORY = "not enough memory|too little memory|memory for them|the limit of memory"
FULL = "No space left on device|is full|not enough free space"
ULIMITS = (
    ulimit("fsize", 0, LARGE),
    ulimit("fsize", 4096, LARGE),
    ulimit("nofile", 7, OPEN),
    ulimit("nofile", 16, OPEN),
    ulimit("as", 100 << 20, MEMORY),
    ulimit("as", 400 << 20, MEMORY),
    ulimit("as", 1500 << 20, MEMORY),
)
DISKS = (tiny(0, FULL), tiny(16, FULL), tiny(100, FULL), read_only("Read-only file system"))
# what takes more than a CPU second: of six one is left when the limit is heard
LONG = ("train", "generate_base_answers", "report_page")
SECONDS = ulimit("cpu", 6, r"limit of CPU seconds \(ulimit -t\)")
QUICK = ("fetch_digest", "fetch_generated_shard", "tokenize_merge", "convert_reshard")


def strike(run, jobs, command, limits: tuple[Limit, ...], tmp_path) -> list[str]:
    """The names of the limits that struck; nothing went wrong."""
    campaign = Campaign(next(job for job in jobs if job.rule == command), run / "run", tmp_path / "copy")
    struck = [limit.name for limit in limits if campaign.limited(limit)]
    assert not campaign.faults, "\n\n".join(campaign.faults)
    return struck


def of_commands(limits: tuple[Limit, ...], metafunc: pytest.Metafunc) -> None:
    """All limits for all commands with --whole; else one each, in turn."""
    cases = [(QUICK[at % len(QUICK)], (limit,)) for at, limit in enumerate(limits)]
    if metafunc.config.getoption("whole"):
        cases = [(command, limits) for command in COMMANDS]
    metafunc.parametrize("command, limits", cases, ids=lambda one: one if isinstance(one, str) else "")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "limits" in metafunc.fixturenames:
        of_commands(DISKS if "disk" in metafunc.function.__name__ else ULIMITS, metafunc)
    elif "command" in metafunc.fixturenames:
        metafunc.parametrize("command", LONG if metafunc.config.getoption("whole") else LONG[:1])


def test_a_ulimit_is_taught_and_its_command_completes_without_it(run, jobs, command, limits, tmp_path):
    struck = strike(run, jobs, command, limits, tmp_path)
    assert ULIMITS[0].name in struck or ULIMITS[0] not in limits  # no command writes nothing


@pytest.mark.root
def test_a_disk_without_room_is_taught_and_its_command_completes_elsewhere(
    run, jobs, command, limits, tmp_path
):
    struck = strike(run, jobs, command, limits, tmp_path)
    assert {DISKS[0].name, DISKS[-1].name}.intersection(one.name for one in limits) <= {*struck}


def test_a_limit_of_cpu_seconds_is_heard_and_its_command_completes_without_it(run, jobs, command, tmp_path):
    # a machine may be so fast that others than training end before
    assert strike(run, jobs, command, (SECONDS,), tmp_path) or command != "train"
