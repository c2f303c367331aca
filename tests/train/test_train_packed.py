"""posttrain_gpt.py on packed data: full rows, and a divergence that names every sample of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from train_parts import MAP, command, make, train, work

pytestmark = pytest.mark.mindspore


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Path:
    """Samples of about 130 tokens, packed into rows of 512 once plainly and once numbered."""
    parts = make(tmp_path_factory.mktemp("parts"), max_position_embeddings=512)
    for name, more in [("pack", []), ("neat", ["--neat-pack"])]:
        done = command(
            "preprocess_data.py",
            *("--input", parts / "shards/train-00000-of-00001.parquet"),
            *("--tokenizer-name-or-path", parts / "hf", "--output-prefix", parts / "tok" / name),
            *("--handler-name", "SharegptStyleInstructionHandler", "--prompt-type", "qwen_math_r1"),
            *("--map-keys", MAP, "--pack", "--seq-length", 512, *more),
        )
        assert done.returncode == 0, done.stderr
    return parts


@pytest.mark.parametrize(("name", "switches"), [("pack", ["--pack"]), ("neat", ["--pack", "--neat-pack"])])
def test_a_packed_run_learns_and_names_all_samples_of_a_row_that_diverges(parts, tmp_path, name, switches):
    data = (
        "--data-path",
        parts / "tok" / name,
        *switches,
        "--train-iters",
        9,
        "--seq-length",
        512,
        "--micro-batch-size",
        2,
    )
    learnt = train(parts, tmp_path / "learnt", *data)
    assert learnt.returncode == 0, learnt.stderr
    metrics = (work(tmp_path / "learnt") / "metrics.jsonl").read_text().splitlines()
    lines = [json.loads(line) for line in metrics]
    assert lines[0]["loss"] == pytest.approx(np.log(400), abs=0.3)
    assert lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert sum(line["tokens"] for line in lines) > 0.7 * 9 * 2 * 512

    diverged = train(parts, tmp_path / "diverged", *data, "--lr", "1e30", "--clip-grad", 0)
    assert diverged.returncode == 1, diverged.stderr
    rows = json.loads((work(tmp_path / "diverged") / "diverged.json").read_text())["rows"]
    assert len(rows) == 2
    names = [uuid for row in rows for uuid in row["uuid"]]
    assert len(names) == len(set(names)) > 2 and all(uuid in diverged.stderr for uuid in names)
