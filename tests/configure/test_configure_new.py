"""`make new` writes a configuration that plans, of any of the examples' files, and says what it found and what is next."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import plan_new
import pytest
from places import ROOT

from distillery import config
from distillery.configure import new_configuration
from distillery.planning import checks
from distillery.problems import Problem, UsageProblem

DATA = ROOT / "config/examples/data"
FILES = sorted(path for path in DATA.iterdir() if path.is_file() and path.name != "problems.jsonl")
# of the examples' six rows, where they are questions with an answer to compare with
SPLIT = {"gsm8k-like.jsonl"}


def new(output: Path, data: Path, name: str = "mine", **more: Path) -> str:
    """Without Snakemake's own plan."""
    args = Namespace(name=name, data=data, model=more.get("model"), problems=more.get("problems"))
    return "\n".join(new_configuration.written(args, output))


@pytest.mark.slow
@pytest.mark.parametrize("data", FILES, ids=lambda path: path.name)
def test_a_configuration_of_any_file(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "mine.yaml"
    said = new(output, data)
    loaded = config.read(output)
    assert [str(one) for one in checks.run(loaded)] == []
    experiment, dataset = loaded.experiments["mine"], loaded.datasets["mine-rows"]
    assert experiment.seq_length % 64 == 0 and "[row 2]" in said
    assert f"{output}: {dataset.handler_name}, told by " in said
    assert (dataset.thoughts == "join") == (data.name == "reasoning.jsonl")
    assert experiment.prompt_type == "qwen"
    assert "# of 6 rows half have" in output.read_text() and "# mine: 6 rows of " in output.read_text()
    assert (dataset.hold_out is not None) == (data.name in SPLIT) == ("held back" in said)
    kind = loaded.problem_sets["mine-problems"].source.kind
    assert kind == ("path" if data.name in SPLIT else "generator")


@pytest.mark.slow
def test_the_command_plans_and_says_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "it's (my) 数据.jsonl"
    odd.write_bytes((DATA / "gsm8k-like.jsonl").read_bytes())
    output = tmp_path / "mine.yaml"
    flags = ["--name", "mine", "--data", str(odd), "--problems", str(DATA / "problems.jsonl")]
    plan_new.main(plan_new.parser().parse_args([*flags, "--output", str(output)]))
    said = capsys.readouterr().out
    assert "problems: 4 of " in said and "planned: 22 jobs" in said
    assert said.endswith(f"make plan CONFIG={output}\nnext: make run CONFIG={output}\n")
    loaded = config.read(output)
    assert loaded.datasets["mine-rows"].hold_out is None
    assert loaded.problem_sets["mine-problems"].how["columns"] == {
        "answer": {"after": "####", "column": "answer"},
        "problem": "question",
    }


@pytest.mark.slow
def test_rows_held_back_leave_enough_on_both_sides_and_answers_in_boxes_are_found(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "a"}],
            "problem": f"{n}?",
            "solution": f"It is $\\boxed{{{n}}}$.",
        }
        for n in [*range(400), *range(50)]  # some are answered twice
    ]
    (tmp_path / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    said = new(tmp_path / "mine.yaml", tmp_path / "a.jsonl")
    loaded = config.read(tmp_path / "mine.yaml")
    held, how = loaded.datasets["mine-rows"].hold_out, loaded.problem_sets["mine-problems"].how
    assert held == how["hold_out"] and held["columns"] == ["problem"]
    assert how["columns"]["answer"] == {"boxed": True, "column": "solution"}
    count = int(said.partition("problems: ")[2].partition(" ")[0])
    assert 20 <= count <= 100


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mine")
    with pytest.raises(UsageProblem, match="(?s)this configuration is there.*another NAME"):
        new(tmp_path / "c.yaml", FILES[0])
    assert (tmp_path / "c.yaml").read_text() == "mine"
    (tmp_path / "a.jsonl").write_text('{"messages": [{"role": "user", "content": "alone"}]}\n')
    with pytest.raises(Problem, match="(?s)none of the first rows.*an odd number of messages"):
        new(tmp_path / "d.yaml", tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"question": "1?", "answer": {"text": "1"}}\n')
    with pytest.raises(
        Problem,
        match=r"(?s)a\.jsonl, row 0: output is not a text \(.'text': '1'.\); read by columns question, answer.*wanted: ",
    ):
        new(tmp_path / "d.yaml", tmp_path / "a.jsonl")
    with pytest.raises(UsageProblem, match="no such input"):
        new(tmp_path / "d.yaml", tmp_path / "b.jsonl")
    with pytest.raises(UsageProblem, match="(?s)no name.*at most 100 letters"):
        new(tmp_path / "d.yaml", FILES[0], "../mine")
    with pytest.raises(Problem, match="(?s)no questions with answers.*columns text.*local-problems"):
        new(tmp_path / "d.yaml", FILES[0], problems=DATA / "lines.txt")
    assert not (tmp_path / "d.yaml").exists()
