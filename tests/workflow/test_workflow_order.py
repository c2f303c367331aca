"""What training waits for goes before what it does not wait for: every job on its way has a priority."""

from __future__ import annotations

import re
from pathlib import Path

import forked
import pytest
from places import ROOT

CONFIGURATIONS = (
    "config.yaml",
    "distill.yaml",
    "qwen2.5-math-7b.yaml",
    "examples/two-stages.yaml",
    "examples/mix-and-select.yaml",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_job_that_a_training_waits_for_goes_first(tmp_path: Path, name: str):
    (tmp_path / "config").symlink_to(ROOT / "config")
    words = ["--snakefile", ROOT / "Snakefile", "--configfile", f"config/{name}", "--dry-run", "finetune"]
    done = forked.run(forked.SNAKEMAKE, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", done.stdout + done.stderr, re.MULTILINE)
    without = {rule for rule, said in jobs if "\n    priority: " not in said}
    assert {"train", "train_mindspeed"}.intersection(dict(jobs)) and without <= {"finetune"}
