"""A configuration's file is read as it stands: nothing in it is dropped or becomes something else unsaid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from house import House
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES, ROOT

from distillery import config, config_file
from distillery.problems import Problem

SMALL = FIXTURES / "workflow/small.yaml"


def fault(folder: Path, text: str | bytes) -> str:
    path = folder / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(Problem) as caught:
        config_file.read(path)
    return str(caught.value)


def test_the_shipped_files_are_read_as_any_loader_reads_them():
    for path in [SMALL, *sorted((ROOT / "config").glob("*.yaml"))]:
        assert config_file.read(path) == yaml.safe_load(path.read_text())
        assert config.read(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", ["line 3: a: stands in line 1 too", "remove one"]),
        ("a: {b: 1, c: 2, b: 1}\n", ["line 1: a.b: stands in line 1 too"]),
        ("l:\n- {x: 1}\n- x: 1\n  'x': 2\n", ["line 4: l.1.x: stands in line 3 too"]),
        ("a:\n  5: x\n", ["line 2: a.5: the key is read as int", "quotes"]),
        ("a:\n  true: x\n", ["line 2: a.true: the key is read as bool"]),
        ("a:\n  on: x\n", ["line 2: a.on: the key is read as bool"]),
        ("a:\n  2024-05-01: x\n", ["line 2: a.2024-05-01: the key is read as timestamp"]),
        ("a:\n  ~: x\n", ["line 2: a.~: the key is read as null"]),
        ("a:\n  [1, 2]: x\n", ["line 2: a.?: the key is read as seq"]),
        ("a: 1\na: 2\n5: 3\n", ["line 2: a: ", "line 3: 5: "]),
        ("a:\n  b: 010\n", ["line 2: a.b: 010 is read as 8; write 8"]),
        ("a: [1:30]\n", ["line 1: a.0: 1:30 is read as 90"]),
        ("a: -1:30.5\n", ["line 1: a: -1:30.5 is read as -90.5"]),
        ("a: &x {c: 1, c: 2}\nb: *x\n", ["line 1: a.c: stands in line 1 too"]),
        ("a:\n\tb: 1\n", ["is not YAML", "line 2, column 1", "spaces"]),
        ("a: [1\n", ["is not YAML", "line 2"]),
        ("a: 1\n---\nb: 2\n", ["is not YAML", "line 2"]),
        ("a: !!python/name:os.system x\n", ["is not YAML", "line 1"]),
        ("a: 2024-13-45\n", ["is not YAML", "month"]),
        (b"a: \xff\n", ["no text in UTF-8", "byte 3"]),
    ],
)
def test_faults_have_a_line(tmp_path, text, words):
    said = fault(tmp_path, text)
    assert all(word in said for word in words), said


def test_numbers_that_people_read_alike_are_taken(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: [0, 10, 0.05, -0, 1_000, 0x10, '010', a:30]\n")
    assert config_file.read(path) == {"a": [0, 10, 0.05, 0, 1000, 16, "010", "a:30"]}


def test_one_fault_a_key_and_aliases_once(tmp_path):
    text = "base: &base {a: 1}\nb: {<<: *base, a: 2}\nc: {<<: *base, <<: *base}\n"
    said = fault(tmp_path, text)
    assert re.findall(r"line (\d+): ([\w.<]+):", said) == [("3", "c.<<")]


def test_an_anchor_that_holds_itself_is_refused(tmp_path):
    (tmp_path / "round.yaml").write_text("a: &a\n  b: *a\n")
    with pytest.raises(Problem, match="an anchor that holds itself"):
        config_file.read(tmp_path / "round.yaml")


def test_no_file_and_no_text_are_taught(tmp_path):
    with pytest.raises(Problem, match="No such file"):
        config_file.read(tmp_path / "none.yaml")
    with pytest.raises(Problem, match="directory"):
        config_file.read(tmp_path)
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert config_file.read(tmp_path / "empty.yaml") is None
    with pytest.raises(Problem, match="top level"):
        config.read(tmp_path / "empty.yaml")


KEYS = st.text(max_size=6) | st.sampled_from(
    ["on", "5", "null", "~", "1e3", "2024-01-01", "<<", "=", "a: b", "#"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
def test_what_yaml_wrote_is_read_again(tmp_path_factory, value, flow):
    path = tmp_path_factory.getbasetemp() / "written.yaml"
    path.write_text(yaml.safe_dump(value, default_flow_style=flow), encoding="utf-8")
    assert config_file.read(path) == value


def test_a_key_that_stands_twice_stops_snakemake_and_plan(tmp_path):
    house = House(tmp_path, SMALL)
    with house.replaced("experiment.yaml", "lr: 0.001", "lr: 0.001\n      lr: 0.002"):
        dry = house.snakemake("--dry-run")
        said = dry.stdout + dry.stderr
    assert dry.returncode != 0 and "experiments.small.train.lr: stands in line" in said, said
    with house.replaced("experiment.yaml", "  small:", "  5:"):
        dry = house.snakemake("--dry-run")
        said = dry.stdout + dry.stderr
    assert dry.returncode != 0 and "experiments.5: the key is read as int" in said, said
