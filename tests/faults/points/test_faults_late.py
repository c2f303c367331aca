"""Commands while the clock is set back, and while a network disk does not yet show what another node has written."""

from __future__ import annotations

import pytest
from fault_campaign import Campaign

pytestmark = [pytest.mark.mindspore, pytest.mark.faults]
DAYS = 2 * 86400  # seconds that the clock is set back by
QUICK = ("fetch_digest", "tokenize_merge", "convert_hf_to_mcore", "convert_mcore_to_hf")
LOOKS = (1, 2, 4)


def chosen(jobs, whole):
    """The first job of each rule, or of the quick ones."""
    first = {job.rule: job for job in reversed(jobs)}
    return [job for rule, job in first.items() if whole or rule in QUICK]


def test_a_clock_that_is_set_back_changes_nothing(run, jobs, whole, tmp_path):
    for job in chosen(jobs, whole):
        campaign = Campaign(job, run / "run", tmp_path / "copy")
        campaign.set_back(DAYS)
        assert not campaign.faults, campaign.faults


def test_a_file_that_shows_late_is_taught_or_harmless(run, jobs, whole, tmp_path):
    made = sorted({name for job in jobs for name in job.wrote})
    faults = []
    for job in chosen(jobs, whole):
        campaign = Campaign(job, run / "run", tmp_path / "copy")
        read = [name for name in made if job.reads(name)]
        for name in read if whole else read[:3]:
            for looks in LOOKS if whole else LOOKS[:1]:
                if not campaign.show_late(name, looks):
                    break
        faults += campaign.faults
    assert not faults, "\n\n".join(faults)
