"""A small experiment's files for the report's tests: every outcome occurs, and texts that try to break out."""

import json
import math
from functools import cache
from pathlib import Path

from distillery import files
from distillery.evaluate import comparison, scoring
from distillery.fetch import openr1, synthetic
from distillery.report import contents

HOSTILE = "</pre><script>alert(1)</script><img src='http://example.com/x.png'>"
DOT = """digraph rules {
  "compare";
  "finetune";
  "make_model";
  "make_shard";
  "make_model" -> "compare";
  "make_model" -> "finetune";
  "make_shard" -> "make_model";
  "make_shard" -> "finetune";
  "finetune" -> "compare";
}
"""


@cache
def judged(name: str, problems: int) -> tuple[list[dict], list[dict]]:
    """(answers, scores) of one side; whoever scores starts processes, so once."""
    rows = list(synthetic.problem_rows(0, problems))
    generations = []
    for number, row in enumerate(rows):
        right = number % 4 == 0 if name == "base" else number % 6 != 0
        text = rf"<think>\nwork\n</think>\n\nThe answer is \boxed{{{row['answer'] if right else -1}}}."
        generations.append(
            {
                "id": row["uuid"],
                "sample": 0,
                "prompt": row["problem"],
                "text": text + (HOSTILE if number == 1 else ""),
                "tokens": [1] * (30 + number),
                "stop": "eos",
                "seed": 0,
            }
        )
    return generations, scoring.score(generations, rows, 1, 10.0)


def write(folder: Path, problems: int = 12) -> list[str]:
    """Write all inputs and return the command's flags."""
    rows = list(synthetic.problem_rows(0, problems))
    openr1.write(rows, openr1.PROBLEM_SCHEMA, folder / "problems.parquet")
    scores = {}
    for name in ("base", "tuned"):
        generations, scores[name] = judged(name, problems)
        for kind, lines in (("jsonl", generations), ("scores.jsonl", scores[name])):
            (folder / f"{name}.{kind}").write_text("".join(json.dumps(line) + "\n" for line in lines))
    compared = comparison.compare(scores["base"], scores["tuned"], 0)
    files.write_json(folder / "comparison.json", compared)
    files.write_json(folder / "summary.json", comparison.summary(compared))
    steps = [
        {"iteration": i, "loss": 6 * math.exp(-i / 20), "lr": 3e-3 * (1 - i / 100)} for i in range(1, 101)
    ]
    steps.append({"iteration": 100, "evaluation_loss": 0.05})
    (folder / "train/work").mkdir(parents=True)
    (folder / "train/work/metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    done = {
        "iteration": 100,
        "loss": 0.04,
        "key": "0123456789abcdef",
        "metrics": "work/metrics.jsonl",
        "template": {"chat_template": "x" * 500},
    }
    files.write_json(folder / "train/done.json", done)
    files.write_json(folder / "data.json", {"rows": 40, "rejected": {"odd number of messages": 2}})
    counted = {kind: {"rows": 3, "examples": []} for kind in contents.QUALITY}
    bins = [{"from": 0, "below": 64, "rows": 30}, {"from": 64, "below": 128, "rows": 10}]
    card = {
        "rows": 40,
        "rejected": {"count": 2},
        "dropped": {"overlong": 1},
        "noted": {"an empty answer": 2},
        "roles": {"user": 40, "assistant": 40},
        "overlap_words": 8,
    }
    card |= counted | {"lengths": {"histogram": bins, "seq_length": 64, "cut_rows": 10}}
    files.write_json(folder / "quality.json", card | {"overlap": {"aime": {"rows": 4}}})
    files.write_json(folder / "proof.json", {"equal": True, "tensors": 26})
    (folder / "rules.dot").write_text(DOT)
    chip = {"hbm_used": 3000, "aicore": 40.0, "power": 90.0, "temperature": None}
    samples = [
        {"seconds": at, "processes": 2, "memory_megabytes": memory, "cpu_percent": cpu, "chips": chips}
        for at, memory, cpu, chips in [
            (0.0, 100, 0.0, []),
            (1.0, 300, 90.0, [chip, {**chip, "hbm_used": 5000, "aicore": None, "power": None}]),
            (4.0, 700, 190.0, [chip]),
        ]
    ]
    (folder / "train.samples.jsonl").write_text("".join(json.dumps(one) + "\n" for one in samples))
    (folder / "train.samples.node1.jsonl").write_text(json.dumps(samples[0]) + "\n")
    flags = {
        "--name": "small",
        "--comparison": "comparison.json",
        "--summary": "summary.json",
        "--base-generations": "base.jsonl",
        "--tuned-generations": "tuned.jsonl",
        "--base-scores": "base.scores.jsonl",
        "--tuned-scores": "tuned.scores.jsonl",
        "--problems": "problems.parquet",
        "--data-manifest": "data.json",
        "--quality": "quality.json",
        "--done": "train/done.json",
        "--rulegraph": "rules.dot",
        "--conversion-proof": "proof.json",
        "--config-json": json.dumps({"seq_length": 128, "note": HOSTILE}),
        "--output": "report.html",
        "--parts-dir": "report",
    }
    words = [part for pair in flags.items() for part in pair]
    return [*words, "--samples", "train=train.samples.jsonl", "generate base=nowhere.samples.jsonl"]
