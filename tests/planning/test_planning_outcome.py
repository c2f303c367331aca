"""Estimates beside measurements: the numbers, what fetched files say, and the report that shows both."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import commands
import pytest
import report_files
import yaml
from places import ROOT

from distillery import config, files
from distillery.launch import loglines
from distillery.planning import checks, estimate, outcome
from distillery.planning.finding import Finding


def test_estimates_stand_beside_measurements(tmp_path):
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    loaded = config.load(raw)
    estimated = estimate.summary(loaded, "embedded", checks.run(loaded))["estimate"]
    converted = tmp_path / "results/checkpoints/tiny-qwen2/fp32-tp1-pp1"
    converted.mkdir(parents=True)
    (converted / "weights").write_bytes(b"x" * 2_000_000)
    (converted / "link").symlink_to("weights")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint").write_bytes(b"x" * 3_000_000)
    log = tmp_path / "logs/checkpoints/tiny-qwen2/fp32-tp1-pp1.tsv"
    log.parent.mkdir(parents=True)
    log.write_text("s\tmax_rss\tcpu_time\n1.5\t100.00\t0.1\n")
    log.with_suffix(".proof.tsv").write_text("s\tmax_rss\tcpu_time\n0.4\t2.62\t0.0\n")
    logs = tmp_path / "logs/datasets/arithmetic" / loaded.experiments["embedded"].tokenize.name / "shards"
    logs.mkdir(parents=True)
    for number, memory in enumerate(("NA", "10.00")):
        (logs / f"train-{number}.tsv").write_text(f"s\tmax_rss\tcpu_time\n2.0\t{memory}\t0.1\n")
    samples = ({"seconds": 0.5, "memory_megabytes": 170}, {"seconds": 1.0, "stopped": "no more"})
    (logs / "train-0.samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    metrics = [
        {"iteration": 1, "seconds": 2.0, "tokens": 1000, "memory_megabytes": 500},
        {"iteration": 2, "seconds": 1.0, "tokens": 900, "memory_megabytes": 600},
        {"iteration": 2, "evaluation_loss": 1.0},
    ]
    tuned = tmp_path / "results/experiments/embedded/tuned.jsonl"
    tuned.parent.mkdir(parents=True)
    tuned.write_text('{"tokens": [1, 2]}\n{"tokens": [3]}\n')
    assert outcome.answered(tuned) == {"tokens": 3}
    files.write_json(tuned.with_name("tuned.timings.json"), {"resumed": 1, "generate_seconds": 0.5})
    assert outcome.answered(tuned) == {"tokens": 3}
    files.write_json(tuned.with_name("tuned.timings.json"), {"resumed": 0, "generate_seconds": 0.5})
    rows = outcome.compare(estimated, metrics, {"tokens": 1_100_000}, tmp_path, tmp_path / "work")
    measured = {row["quantity"]: row["measured"] for row in rows if row["measured"]}
    assert measured == {
        "tokens of the dataset": 1_100_000,
        "tokens of train": 1900,
        "time of train": 3.0,
        "memory of train": 600,
        "tokens of generate tuned, at most": 3,
        "time of generate tuned, at most": 0.5,
        "time of tokenize": 4.0,
        "memory of tokenize": 170,  # sampled; Snakemake saw less
        "time of convert": 1.5,
        "memory of convert": pytest.approx(104.9, abs=0.1),  # Snakemake counts in 2^20 bytes
        "time of prove conversion": 0.4,  # and no memory: 2.6 MB are the shell's
        "disk of convert": 2.0,
        "disk of train": 3.0,
        "disk of generate tuned": pytest.approx(tuned.stat().st_size / 1e6),
    }
    tokens = rows[0]
    assert tokens["estimate"] == 3 * 3200 * 120  # at most
    assert tokens["error"] == pytest.approx(1_152_000 / 1_100_000 - 1)
    # how far off a job of four seconds, or Python's own memory, was estimated says nothing
    errors = {row["quantity"]: row["error"] for row in rows}
    assert errors["time of prove conversion"] is None and errors["memory of convert"] is None
    missing = {row["quantity"]: row["measured"] for row in rows if row["quantity"] not in measured}
    assert missing["time of export"] is None and missing["memory of export"] is None


def test_megatrons_log_lines_are_measurements_too():
    """Its memory comes in lines of its own, for each rank, and its training lines count samples, no tokens."""
    log = (
        " [2025-09-01 12:00:00] iteration        1/    2000 | consumed samples:           64 |"
        " elapsed time per iteration (ms): 12345.6 | learning rate: 6.250000E-08 | global batch size:    64 |"
        " lm loss: 1.234567E+00 | loss scale: 1.0 | grad norm: 1.234 | number of skipped iterations:   0 |",
        "[Rank 0] (after 1 iterations) memory (MB) | allocated: 100.0 | max allocated: 50000.4 | reserved: 9",
        "[Rank 1] (after 1 iterations) memory (MB) | allocated: 100.0 | max allocated: 51000.4 | reserved: 9",
    )
    loaded = config.load(yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text()))
    estimated = estimate.summary(loaded, "qwen2.5-math-7b", [])["estimate"]
    records = [loglines.metrics(line) for line in log]
    measured = {
        row["quantity"]: row["measured"]
        for row in outcome.compare(estimated, records, {}, Path("none"), Path("none"))
    }
    assert measured["memory of train"] == 51000
    assert measured["time of train"] == 12.3456
    assert measured["tokens of train"] is None


@pytest.mark.slow
def test_the_report_shows_the_plan(tmp_path):
    flags = report_files.write(tmp_path)
    finding = Finding("epochs", ("experiments.e.train.train_iters",), "9 epochs", "5", "less", "accepted")
    row = outcome.Row("time of train", "s", 30.0, 40.0)
    files.write_json(
        tmp_path / "plan.json", {"rows": [{**asdict(row), "error": row.error}], "findings": [asdict(finding)]}
    )
    answer = commands.here("report_page.py", *flags, "--plan", "plan.json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "report.html").read_text().replace("<wbr>", "")  # keys may break at their dots
    for words in (
        "Plan and outcome",
        "time of train",
        "-25 %",
        "accepted",
        "9 epochs",
        "experiments.e.train.train_iters",
    ):
        assert words in page
