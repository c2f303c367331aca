"""Estimates beside measurements: the numbers, what fetched files say, and the report that shows both."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import report_files
import yaml

from distillery import config, files
from distillery.launch import loglines
from distillery.planning import checks, outcome, summary
from distillery.planning.finding import Finding

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "workflow/scripts"


def run(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess:
    line = [sys.executable, str(SCRIPTS / name), *map(str, words)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_estimates_stand_beside_measurements(tmp_path):
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    loaded = config.load(raw)
    estimate = summary.of(loaded, "embedded", checks.run(loaded))["estimate"]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "weights").write_bytes(b"x" * 2_000_000)
    (tmp_path / "a" / "link").symlink_to("weights")
    metrics = [
        {"iteration": 1, "seconds": 2.0, "tokens": 1000, "memory_megabytes": 500},
        {"iteration": 2, "seconds": 1.0, "tokens": 900, "memory_megabytes": 600},
        {"iteration": 2, "evaluation_loss": 1.0},
    ]
    (tmp_path / "t.jsonl").write_text('{"tokens": [1, 2]}\n{"tokens": [3]}\n')
    assert outcome.answered(tmp_path / "t.jsonl") == {"tokens": 3}
    files.write_json(tmp_path / "t.timings.json", {"resumed": 1, "generate_seconds": 0.5})
    assert outcome.answered(tmp_path / "t.jsonl") == {"tokens": 3}
    files.write_json(tmp_path / "t.timings.json", {"resumed": 0, "generate_seconds": 0.5})
    answers = outcome.answered(tmp_path / "t.jsonl")
    rows = outcome.compare(estimate, metrics, {"tokens": 1_600_000}, {"convert": [tmp_path / "a"]}, answers)
    measured = {row["quantity"]: row["measured"] for row in rows}
    assert measured == {
        "tokens of the dataset": 1_600_000,
        "tokens of training": 1900,
        "time of training": 3.0,
        "memory of training": 600,
        "tokens of answers, at most": 3,
        "time of answers, at most": 0.5,
        "disk of convert": 2.0,
    }
    tokens = rows[0]
    assert tokens["estimate"] == 4 * 3200 * 128  # at most
    assert tokens["error"] == pytest.approx(1_638_400 / 1_600_000 - 1)


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
    estimate = summary.of(loaded, "qwen2.5-math-7b", [])["estimate"]
    records = [loglines.metrics(line) for line in log]
    measured = {
        row["quantity"]: row["measured"] for row in outcome.compare(estimate, records, {}, {}, {"tokens": 1})
    }
    assert measured["memory of training"] == 51000
    assert measured["time of training"] == 12.3456
    assert measured["tokens of training"] is None


def test_the_report_shows_the_plan_and_the_sweep(tmp_path):
    flags = report_files.write(tmp_path)
    finding = Finding("epochs", ("experiments.e.train.train_iters",), "9 epochs", "5", "less", "accepted")
    row = outcome.Row("time of training", "s", 30.0, 40.0)
    files.write_json(
        tmp_path / "plan.json", {"rows": [{**asdict(row), "error": row.error}], "findings": [asdict(finding)]}
    )
    for name in ("e-lr1", "e-lr2"):
        files.write_json(
            tmp_path / name / "summary.json",
            {
                "base": {"accuracy": 0.1},
                "tuned": {"accuracy": 0.5 if name == "e-lr1" else 0.75},
                "verdict": "better",
            },
        )
    sweep = ["--sweep", "e-lr1/summary.json", "e-lr2/summary.json"]
    answer = run("report.py", *flags, "--plan", "plan.json", *sweep, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "report.html").read_text()
    for words in (
        "Plan and outcome",
        "time of training",
        "-25 %",
        "accepted",
        "9 epochs",
        "experiments.e.train.train_iters",
        "All experiments of the sweep",
    ):
        assert words in page
    assert page.index("e-lr2") < page.index("e-lr1")  # best first
