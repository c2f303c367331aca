"""The default experiment learns what it is shown to learn."""

from __future__ import annotations

import pytest

from distillery import json_files

pytestmark = pytest.mark.long


def test_random_weights_learn_to_reason(embedded):
    summary = json_files.read(embedded.path / "results/experiments/embedded/summary.json")
    assert summary["base"]["n"] == summary["tuned"]["n"] >= 200
    assert summary["base"]["accuracy"] <= 0.05
    assert summary["tuned"]["accuracy"] >= 0.95


def test_afterwards_nothing_is_to_be_done(embedded):
    assert not embedded.planned()
