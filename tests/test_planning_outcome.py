"""Estimates beside measurements: the numbers, what fetched files say, and the report that shows both."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_files
import yaml

from distillery import config, files
from distillery.hub import openr1, synthetic
from distillery.launch import loglines
from distillery.planning import checks, outcome, sources, summary
from distillery.planning.finding import Finding

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "workflow/scripts"
MAP_KEYS = {
    "messages": "messages",
    "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
}


def run(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess:
    line = [sys.executable, str(SCRIPTS / name), *map(str, words)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A shard, problems and a tiny model with its tokenizer."""
    folder = tmp_path_factory.mktemp("sources")
    shard = ("--seed", 0, "--shard", "00000", "--shards", "00001", "--rows", 300, "--output", "s.parquet")
    model = ("--seed", 1, "--config-json", "{}", "--vocab-size", 400, "--tokenizer-shards", "s.parquet")
    for name, words in {
        "make_shard.py": shard,
        "make_problems.py": ("--seed", 7, "--rows", 20, "--output", "p.parquet"),
        "make_model.py": (*model, "--tokenizer-rows", 300, "--output-dir", "m"),
    }.items():
        answer = run(name, *words, cwd=folder)
        assert answer.returncode == 0, answer.stderr
    return folder


def plan(**changes: object) -> sources.Plan:
    usual = sources.Plan(
        experiment="e",
        prompt_type="qwen_math_r1",
        answer_prompt_type="qwen_math_r1",
        handler_name="SharegptStyleInstructionHandler",
        map_keys=MAP_KEYS,
        tokenize_length=512,
        train_length=512,
    )
    return replace(usual, **changes)


def found(made: Path, **changes: object) -> dict:
    return sources.inspect(made / "m", made / "s.parquet", made / "p.parquet", plan(**changes))


def test_matching_files_say_nothing_but_their_lengths(made):
    result = found(made)
    assert result["findings"] == []
    sample = result["sample"]
    assert sample["rows"] == 256 and sample["share_overlong"] == 0
    assert sample["share_thinking"] == sample["share_boxed"] == 1
    assert 50 < sample["p50"] <= sample["p90"] <= sample["max"] < 512
    assert result["decontamination"] == {"problems": 20, "contained": 0}


def rewritten(made: Path, folder: Path, change) -> Path:
    """The shard with each answer changed."""
    rows = pq.read_table(made / "s.parquet")
    messages = [
        [{**one, "content": change(one["content"]) if one["role"] == "assistant" else one["content"]} for one in row]
        for row in rows["messages"].to_pylist()
    ]  # fmt: skip
    place = rows.schema.get_field_index("messages")
    changed = rows.set_column(place, "messages", pa.array(messages, rows.schema.field(place).type))
    pq.write_table(changed, folder / "changed.parquet")
    return folder / "changed.parquet"


@pytest.mark.parametrize(
    ("id", "severity", "changes"),
    [
        ("markers", "error", {"prompt_type": "deepseek3", "answer_prompt_type": "deepseek3"}),
        ("new-tokens", "error", {"prompt_type": "llama3", "answer_prompt_type": "llama3"}),
        ("stop-ids", "error", {"answer_prompt_type": "default"}),
        ("chat-template", "warning", {"prompt_type": "qwen", "answer_prompt_type": "qwen"}),
        ("columns", "error", {"map_keys": {**MAP_KEYS, "messages": "conversations"}}),
        (
            "rows",
            "error",
            {"map_keys": {**MAP_KEYS, "tags": {**MAP_KEYS["tags"], "assistant_tag": "teacher"}}},
        ),
        ("cut-answers", "error", {"tokenize_length": None, "train_length": 100}),
        ("overlong-rows", "warning", {"tokenize_length": 100, "train_length": 100}),
    ],
)
def test_each_check_of_files(made, id, severity, changes):
    assert (id, severity) in {(one.id, one.severity) for one in found(made, **changes)["findings"]}


def test_open_thoughts_unboxed_answers_and_contamination(made, tmp_path):
    changed = rewritten(made, tmp_path, lambda text: text.replace("</think>", ""))
    result = sources.inspect(made / "m", changed, made / "p.parquet", plan())
    assert [one.id for one in result["findings"]] == ["open-think"]
    count = iter(range(10**6))
    changed = rewritten(made, tmp_path, lambda text: text.replace("\\boxed", "") if next(count) % 2 else text)
    result = sources.inspect(made / "m", changed, made / "p.parquet", plan())
    assert [one.id for one in result["findings"]] == ["unboxed"]
    seen = pq.read_table(made / "s.parquet", columns=["problem"]).to_pylist()[:5]
    rows = [
        {**one, "problem": other["problem"]}
        for one, other in zip(synthetic.problem_rows(7, 5), seen, strict=True)
    ]
    openr1.write(rows, openr1.PROBLEM_SCHEMA, tmp_path / "seen.parquet")
    assert sources.contamination(made / "s.parquet", tmp_path / "seen.parquet") == {
        "problems": 5,
        "contained": 5,
    }


def test_the_command_stops_at_errors_and_leaves_no_output(made, tmp_path):
    common = ("--name", "e", "--model-dir", "m", "--shard", "s.parquet", "--problems", "p.parquet")
    flags = (
        *common,
        "--map-keys",
        json.dumps(MAP_KEYS),
        "--train-seq-length",
        512,
        "--output",
        tmp_path / "checks.json",
    )
    bad = run("check_sources.py", *flags, "--prompt-type", "deepseek3", cwd=made)
    assert bad.returncode == 1 and "error[markers]" in bad.stdout and not (tmp_path / "checks.json").exists()
    good = run("check_sources.py", *flags, "--prompt-type", "qwen", "--accept", "chat-template", cwd=made)
    assert good.returncode == 0, good.stderr
    (one,) = files.read_json(tmp_path / "checks.json")["findings"]
    assert (one["id"], one["severity"]) == ("chat-template", "accepted")


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
