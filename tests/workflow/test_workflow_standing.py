"""What a finished run stands on: sources and files that went away, or are not what was written, are found and named."""

from __future__ import annotations

import copy

import pytest
import yaml

ABSENT = {"path": {"path": "/no/such", "files": "train-{00000..00001}-of-00002.parquet"}}


def without(raw: dict, part: str) -> dict:
    raw = copy.deepcopy(raw)
    if part == "models":
        raw["models"]["tiny"] = {"path": {"path": "/no/such"}}
    else:
        raw["datasets"]["sums"]["source"] = ABSENT
    return raw


@pytest.mark.parametrize("part", ["models", "datasets"])
def test_old_results_do_not_stand_for_a_source_that_is_not_there(finished, part):
    """Snakemake took them, and ended with 0."""
    raw = without(yaml.safe_load(finished.configfile.read_text()), part)
    with finished.edited("experiment.yaml", yaml.safe_dump(raw).encode()):
        done = finished.snakemake("--cores", "1")
    assert done.returncode == 1
    assert f"error[absent-source] {part}." in done.stderr and "no /no/such" in done.stderr
