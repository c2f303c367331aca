"""Experiments that start from others' exports: what is shared with the first stage, and what is refused."""

from __future__ import annotations

import copy

import pytest
import yaml
from places import FIXTURES

from distillery import artefacts, config, lineage, stage_inputs, stated_sources
from distillery.planning import checks
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem
from distillery.report.rule_edges import reduced

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())


def staged(**models: object) -> dict:
    """The small experiment, called first, and others like it that start from what is given for each."""
    raw = copy.deepcopy(SMALL)
    first = raw["experiments"].pop("small")
    raw["experiments"] = {"first": first}
    for name, model in models.items():
        raw["experiments"][name] = copy.deepcopy(first) | {"model": model}
    return raw


def refused(raw: dict) -> str:
    with pytest.raises(Problem) as caught:
        config.load(raw)
    return str(caught.value)


def test_a_later_stage_starts_from_the_export_and_shares_the_tokens():
    loaded = config.load(staged(second={"experiment": "first"}, third={"experiment": "second"}))
    first, second, third = loaded.experiments.values()
    assert artefacts.rotated_model(third) == "results/experiments/second/hf/manifest.json"
    assert artefacts.weights(second).path.startswith("results/checkpoints/first+tuned/")
    assert artefacts.tokenized(third) == artefacts.tokenized(first)
    assert artefacts.base_answers(third, third.problems).path.startswith("results/generations/second+tuned/")
    assert stage_inputs.early_model(loaded, third) == artefacts.MODEL.at(model="tiny")
    assert gather(loaded, "third").architecture == gather(loaded, "first").architecture
    ids = [{one.id for one in checks.run(each)} for each in (loaded, config.load(staged()))]
    assert ids[0] == ids[1]


def test_a_later_stage_names_what_all_before_it_learnt():
    raw = staged(second={"experiment": "first"}, third={"experiment": "second"})
    raw["datasets"]["more"] = copy.deepcopy(raw["datasets"]["sums"]) | {"license": "mit"}
    raw["experiments"]["third"]["dataset"] = "more"
    said = stated_sources.of(config.load(raw), "third")
    assert (said["model"]["name"], said["stages"]) == ("tiny", ["first", "second"])
    assert list(said["datasets"]) == ["sums", "more"]
    licences = [(one["license"], one["stated"]) for one in said["datasets"].values()]
    assert licences == [(stated_sources.MADE["generator"], ""), ("mit", "datasets.more.license")]


def test_a_later_stage_has_the_context_that_the_one_before_learnt():
    raw = staged(second={"experiment": "first"})
    raw["experiments"]["first"]["rope"] = {"max_position_embeddings": 512, "override": True}
    raw["experiments"]["second"]["seq_length"] = 512
    loaded = config.load(raw)
    assert gather(loaded, "second").architecture.max_position_embeddings == 512
    assert stage_inputs.early_model(loaded, loaded.experiments["second"]) == artefacts.MODEL.at(
        model="tiny-max_position_embeddings512"
    )
    assert not [one for one in checks.run(loaded) if one.severity == "error"]


def test_what_an_experiment_starts_from_is_run_with_it():
    raw = staged(second={"experiment": "first"}, other="tiny") | {"run": ["second"]}
    assert list(config.load(raw).experiments) == ["first", "second"]


def test_circles_are_refused_once_with_their_way():
    said = refused(staged(second={"experiment": "third"}, third={"experiment": "second"}))
    assert said.count("a circle") == 1
    assert "experiments.second: starts from third, which starts from second: a circle" in said
    assert "starts from own: a circle" in refused(staged(own={"experiment": "own"}))


def test_an_experiment_that_is_not_there_is_named():
    said = refused(staged(second={"experiment": "frist"}))
    assert (
        "experiments.second.model.experiment: found 'frist', but experiments has only first, second" in said
    )


@pytest.mark.parametrize("path", ["results/experiments/first/hf", "./results/../results/checkpoints/tiny/x"])
def test_a_path_below_results_teaches_what_to_write(path):
    raw = staged()
    raw["models"]["mine"] = {"path": {"path": path}}
    said = refused(raw)
    assert "models.mine.path.path: found" in said
    assert f"model: {{experiment: {'first' if 'first' in path else 'NAME'}}}" in said


@pytest.mark.parametrize(
    ("kind", "source", "at", "cure"),
    [
        (
            "datasets",
            {"source": {"path": {"path": "results/generations/tiny", "files": "*.jsonl"}}},
            "datasets.mine.source.path.path: found",
            "teacher: {experiment: NAME",
        ),
        (
            "problem_sets",
            {"path": {"path": "results/experiments/first", "files": "tuned.jsonl"}},
            "problem_sets.mine.path.path: found",
            "copy what shall not change",
        ),
    ],
)
def test_results_are_no_source_of_rows_and_problems_either(kind, source, at, cure):
    raw = staged()
    raw[kind]["mine"] = source
    said = refused(raw)
    assert at in said and cure in said


def test_the_drawn_graph_of_stages_has_no_circle():
    once = {
        ("model", "convert_hf_to_mcore"),
        ("convert_hf_to_mcore", "train"),
        ("train", "convert_mcore_to_hf"),
    }
    once |= {("convert_mcore_to_hf", "report"), ("train", "report")}
    assert reduced(once) == once - {("train", "report")}
    assert reduced(once | {("convert_mcore_to_hf", "convert_hf_to_mcore")}) == reduced(once)


def test_names_of_stages_are_none_of_a_configuration():
    assert lineage.origin(lineage.started_from("first")) == "first"
    assert lineage.origin("first") is None
    assert "first+tuned" in refused(
        staged() | {"models": {**SMALL["models"], "first+tuned": SMALL["models"]["tiny"]}}
    )
