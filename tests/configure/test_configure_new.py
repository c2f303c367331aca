"""`make new` writes a configuration that plans, of any of the examples' files, and says what it found and what is next."""

from __future__ import annotations

from pathlib import Path

import plan_new
import pytest
from places import ROOT

from distillery import config
from distillery.planning import checks
from distillery.problems import Problem, UsageProblem

DATA = ROOT / "config/examples/data"
FILES = sorted(path for path in DATA.iterdir() if path.is_file() and path.name != "problems.jsonl")


def new(output: Path, data: Path, *more: str) -> None:
    flags = ["--name", "mine", "--data", str(data), "--output", str(output), *more]
    plan_new.main(plan_new.parser().parse_args(flags))


@pytest.mark.parametrize("data", FILES, ids=lambda path: path.name)
def test_a_configuration_of_any_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mine.yaml"
    new(output, data)
    said = capsys.readouterr().out
    loaded = config.read(output)
    assert not [str(one) for one in checks.run(loaded) if one.severity == "error"]
    assert loaded.experiments["mine"].seq_length % 64 == 0
    assert "[row 2]" in said and said.endswith(f"then make run CONFIG={output}\n")
    assert f"{output}: {loaded.datasets['mine-rows'].handler_name}, told by " in said
    assert (loaded.datasets["mine-rows"].thoughts == "join") == (data.name == "reasoning.jsonl")
    assert loaded.experiments["mine"].prompt_type == "qwen"
    assert "# of 6 rows half have" in output.read_text()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").touch()
    with pytest.raises(UsageProblem, match="(?s)this configuration is there.*another NAME"):
        new(tmp_path / "c.yaml", FILES[0])
    (tmp_path / "a.jsonl").write_text('{"messages": [{"role": "user", "content": "alone"}]}\n')
    with pytest.raises(Problem, match="(?s)none of the first rows.*an odd number of messages"):
        new(tmp_path / "d.yaml", tmp_path / "a.jsonl")
    with pytest.raises(UsageProblem, match="no such input"):
        new(tmp_path / "d.yaml", tmp_path / "b.jsonl")
    assert not (tmp_path / "d.yaml").exists()
