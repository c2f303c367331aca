"""The plan of a real run: its steps' files are found, and its memory was foreseen."""

from __future__ import annotations

import yaml

from distillery import config, json_files
from distillery.planning import estimate


def test_every_step_of_a_real_run_is_found_and_its_memory_was_foreseen(finished):
    """The patterns name the files that the rules write, and the fit holds for a run that it did not see."""
    plan = json_files.read(finished.path / "results/experiments/small/plan.json")
    loaded = config.load(yaml.safe_load(finished.configfile.read_text()))
    steps = estimate.summary(loaded, "small", [])["estimate"]["steps"]
    for step in steps:
        for pattern in filter(None, (step["leaves"], step["timed"])):
            assert list(finished.path.glob(pattern)), (step["name"], pattern)
    rows = {row["quantity"]: row for row in plan["rows"]}
    assert abs(rows["memory of train"]["error"]) < 0.15
    written = ("fetch data", "tokenize", "merge", "train", "evaluate base", "evaluate tuned")
    assert all(rows[f"disk of {step}"]["measured"] > 0 for step in written)
    # proofs are no inputs of plan_outcome: they may come after it, and then are not measured
    assert all(rows[f"time of {step}"]["measured"] > 0 for step in ("tokenize", "convert", "export"))
    assert rows["time of generate base, at most"]["measured"] > 0
