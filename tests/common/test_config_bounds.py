"""Configurations of a few lines that stand for millions of values: refused at once, with their line."""

from __future__ import annotations

import copy

import measured
import pytest
import yaml
from places import FIXTURES, SCRIPTS

from distillery import config, config_file
from distillery.problems import Problem

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
SMALL = (FIXTURES / "workflow/small.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LAUGHS, "line 16"),
        ("map_keys: &a {messages: *a}\n", "an anchor that holds itself"),
        ("a: &a [*a]\n", "an anchor that holds itself"),
        ("[" * 200_000, "more than 50 levels"),
        ("- " * 100_000 + "a", "more than 50 levels"),
        ("? " * 100_000, "more than 50 levels"),
        ("a:\n\tb: 1\n", "line 2"),
        ("a: *nowhere\n", "undefined alias"),
    ],
)
def test_what_it_stands_for_is_counted_before_it_is_made(tmp_path, text, words):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(Problem) as caught:
        config_file.read(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_anchors_that_save_lines_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, *a]\n")
    assert config_file.read(path) == {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": [{"x": 1}, {"x": 1}]}


def test_a_sweep_of_a_million_is_counted_before_it_is_made():
    raw = yaml.safe_load(SMALL)
    raw["experiments"]["small"]["sweep"] = {
        f"train.{key}": list(range(1, 101)) for key in ("seed", "train_iters", "save_interval")
    }
    with pytest.raises(Problem, match=r"small\.sweep: 1000000 experiments, wanted at most 1000"):
        config.load(copy.deepcopy(raw))


@pytest.mark.faults
def test_a_plan_of_nested_anchors_stays_small(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(LAUGHS + SMALL)
    said = measured.refused(path.stat().st_size, SCRIPTS / "plan.py", "--configfile", path)
    assert str(path) in said
