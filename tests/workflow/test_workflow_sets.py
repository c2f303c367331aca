"""An experiment of several problem sets, planned: which jobs each set adds, and what they read and write."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml
from house import House
from places import FIXTURES

SETS = ("evaluate_compare_set", "evaluate_set", "generate_set_answers", "report_set_page")


def planned(folder: Path, change) -> tuple[Counter[str], str]:
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    change(raw)
    (folder / "changed.yaml").write_text(
        yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8"
    )
    house = House(folder / "house", folder / "changed.yaml")
    dry = house.snakemake("--dry-run", "--printshellcmds")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    said = dry.stdout + dry.stderr
    return Counter(
        line.split()[-1].rstrip(":") for line in said.splitlines() if line.startswith(("rule ", "localrule "))
    ), said


def test_each_further_set_adds_its_own_answers_scores_and_page(tmp_path):
    odd = tmp_path / "题 (1) 'a'"
    odd.mkdir()
    (odd / "b c.csv").write_text("question,answer\n1+1?,x #### 2\n", encoding="utf-8")

    def change(raw: dict) -> None:
        raw["problem_sets"]["mine"] = {
            "path": {"path": str(odd), "files": "*.csv"},
            "columns": {"problem": "question", "answer": {"after": "####"}},
        }
        raw["experiments"]["small"]["problems"] = ["sums-heldout", "mine", "aime25"]
        raw["experiments"]["small"]["generate"]["sets"] = {"mine": {"max_new_tokens": 4}}

    jobs, said = planned(tmp_path, change)
    assert {name: jobs[name] for name in SETS} == dict.fromkeys(SETS, 2)
    assert jobs["generate_base_answers"] == jobs["evaluate_base"] == 3
    assert (
        jobs["generate_tuned_answers"]
        == jobs["evaluate_compare"]
        == jobs["report_page"]
        == jobs["train"]
        == 1
    )
    assert (jobs["fetch_problems"], jobs["fetch_problem_files"], jobs["fetch_lock"]) == (2, 1, 1)
    lines = [line for line in said.splitlines() if "evaluate_compare.py" in line and "--further-sets" in line]
    (line,) = lines
    assert "--problem-set sums-heldout" in line
    assert "mine=results/experiments/small/sets/mine/comparison.json" in line
    assert "aime25=results/experiments/small/sets/aime25/comparison.json" in line
    # the entry's settings are on the line, so that the job runs again when they change
    assert "--files aime2025-I.jsonl aime2025-II.jsonl" in said and "opencompass/AIME2025" in said


def test_a_sweep_is_compared_on_each_of_its_sets(tmp_path):
    def change(raw: dict) -> None:
        raw["experiments"]["small"] |= {
            "problems": ["sums-heldout", "aime25"],
            "sweep": {"train.seed": [1, 2]},
        }

    jobs, said = planned(tmp_path, change)
    assert jobs["evaluate_sweep"] == jobs["evaluate_sweep_set"] == 2
    (line,) = [
        one
        for one in said.splitlines()
        if "seed1/sets/aime25/sweep.json" in one and "evaluate_sweep.py" in one
    ]
    for name in ("small-seed1", "small-seed2"):
        assert f"{name}=results/experiments/{name}/sets/aime25/tuned.scores.jsonl" in line
    (line,) = [
        one
        for one in said.splitlines()
        if "--output results/experiments/small-seed1/sets/aime25/report.html" in one
    ]
    assert "--sweep results/experiments/small-seed1/sets/aime25/sweep.json" in line
