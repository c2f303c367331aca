"""The model-index of a summary, read by the library that the hub's clients read it with."""

from __future__ import annotations

import json

import commands
import pytest
from lazy import Lazy

from distillery.evaluate import model_index

repocard_data = Lazy("huggingface_hub.repocard_data")


def rows(right: int, samples: int) -> list[dict]:
    return [
        {
            "id": f"p{n}",
            "sample": s,
            "problem_type": "t",
            "strict": n < right,
            "lenient": True,
            "stop": "eos",
            "tokens": 5,
            "unfinished_think": False,
            "timed_out": False,
        }
        for n in range(10)
        for s in range(samples)
    ]


@pytest.mark.parametrize("samples, kinds", [(1, ["pass@1"]), (2, ["pass@1", "pass@2", "maj@2"])])
def test_the_hubs_library_reads_a_summarys_metrics(tmp_path, samples, kinds):
    for name, right in (("base", 2), ("tuned", 7)):
        text = "".join(json.dumps(row) + "\n" for row in rows(right, samples))
        (tmp_path / f"{name}.jsonl").write_text(text)
    flags = ["--base", "base.jsonl", "--tuned", "tuned.jsonl", "--output", "c.json", "--summary", "s.json"]
    done = commands.here("evaluate_compare.py", *flags, "--problem-set", "math-500", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    name, results = repocard_data.model_index_to_eval_results(summary["model-index"])
    assert name == "tuned" and [one.metric_type for one in results] == kinds
    assert (results[0].metric_value, results[0].dataset_name) == (0.7, "math-500")
    assert results[0].metric_args["interval_95"] == summary["tuned"]["interval"]
    assert repocard_data.eval_results_to_model_index(name, results) == summary["model-index"]


def test_each_problem_set_is_a_result():
    one = {
        "problems": 3,
        "samples": 1,
        "tuned": {"accuracy": 1.0, "interval": [0.4, 1.0]},
        "measures": {"tuned": {}},
    }
    (index,) = model_index.of("m", {"a": one, "b": one})
    assert [result["dataset"]["name"] for result in index["results"]] == ["a", "b"]
