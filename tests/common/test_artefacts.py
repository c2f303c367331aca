"""One module knows where files lie: patterns for rules and places for all else come from the same lines."""

from __future__ import annotations

import ast
import io
import re
import tokenize

import pytest
import yaml
from places import ROOT, SCRIPTS

from distillery import artefacts, config
from distillery.artefacts import Artefact

ALL = {name: one for name, one in vars(artefacts).items() if isinstance(one, Artefact)}
FILES = [
    *(path for path in (SCRIPTS / "distillery").rglob("*.py") if path.name != "artefacts.py"),
    *(ROOT / "workflow/rules").glob("*.smk"),
    ROOT / "Snakefile",
]
PLACE = re.compile(r"^ *(--\w+ )?(results|resources|logs)/")


def texts(source: str, python: bool) -> list[str]:
    """Its string literals, docstrings left out."""
    if python:
        tree = ast.parse(source)
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        skipped = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, documented) and ast.get_docstring(node)
        }
        constants = (
            node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in skipped
        )
        return [node.value for node in constants if isinstance(node.value, str)]
    words = tokenize.generate_tokens(io.StringIO(source).readline)
    kinds = (tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING))
    return [word.string.lstrip("f").strip("\"'") for word in words if word.type in kinds]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nobody_else_spells_a_place(path):
    found = [text for text in texts(path.read_text(), path.suffix == ".py") if PLACE.match(text)]
    assert not found


def test_a_job_has_one_log_and_an_output_one_job():
    assert len({one.path for one in ALL.values()}) == len(ALL)
    by_log: dict[str, set[str]] = {}
    for name, one in ALL.items():
        by_log.setdefault(one.log, set()).add(name)
    assert [names for names in by_log.values() if len(names) > 1] == [
        {"SHARD", "PASS_RATES"},
        {"TEACHER_QUESTIONS", "TEACHER_COUNTS"},
        {"LEFT_OUT", "SELECTION", "KEPT_QUESTIONS"},
        {"UPLOAD", "MODEL_CARD", "REPORT", "REPORT_PART"},
        {"COMPARISON", "SUMMARY"},
    ]


# a human writes OVERRULES: it has no job
@pytest.mark.parametrize("name", sorted(ALL.keys() - {"OVERRULES"}))
def test_wildcards_of_a_job_are_those_of_its_output(name):
    """Else two jobs would write the same log; a part of a report has the report's."""
    path, job = (set(re.findall(r"\{(\w+)\}", text)) for text in (ALL[name].path, ALL[name].job))
    assert path == job | ({"part"} & path)


def test_a_place_is_its_pattern_with_names():
    done = artefacts.TRAINED.of(experiment="tiny")
    assert (done.path, done.folder) == (
        "results/experiments/tiny/train/done.json",
        "results/experiments/tiny/train",
    )
    assert (done.log, done.benchmark) == ("logs/tiny/train.log", "logs/tiny/train.tsv")
    assert done.samples == "logs/tiny/train.samples.jsonl"
    assert artefacts.SHARD.at(dataset="d") == "resources/datasets/d/{shard}"
    assert (
        artefacts.RESHARDED.at(model="m", converted="a", target="b")
        == "results/checkpoints/m/a-to-b/manifest.json"
    )
    assert artefacts.TRAINED_RESHARDED.everywhere.path == "results/experiments/*/reshard-*/manifest.json"


def test_an_experiments_places():
    loaded = config.load(yaml.safe_load((ROOT / "config/config.yaml").read_text()))
    one = loaded.experiments["embedded"]
    assert artefacts.weights(one) == artefacts.converted(one)
    assert artefacts.weights(one).path == "results/checkpoints/tiny-qwen2/fp32-tp1-pp1/manifest.json"
    assert artefacts.tuned_weights(one) == artefacts.TRAINED.of(experiment="embedded")
