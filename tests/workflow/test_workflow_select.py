"""A selection from a mix of two datasets through the rules: what is left out is not learnt, each has its share, nothing is made anew idly."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from house import House
from places import FIXTURES

from distillery import config, shard_files, stage_inputs
from distillery.planning import checks, estimate
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
DONE = "results/experiments/small/train/done.json"
REPORT = "results/experiments/small/report.html"
ASKED = {
    "boxed_answer": True,
    "overlap_words": 8,
    "max_tokens": 150,
    "near_duplicates": True,
    "max_per_source": 70,
    "source_column": "problem_type",
}
MORE = {"source": {"generator": {"seed": 9, "shards": 1, "rows_per_shard": 40}}}


def selecting(**more: object) -> dict:
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["small"]["select"] = {**ASKED, **more}
    return raw


@pytest.fixture(scope="module")
def selected(finished, tmp_path_factory) -> House:
    """The finished small experiment, run anew on what two filters leave of its dataset and of another one."""
    house = finished.copied(tmp_path_factory.mktemp("selected") / "house")
    raw = selecting()
    raw["datasets"]["more"] = MORE
    raw["experiments"]["small"]["dataset"] = [
        {"name": "sums", "weight": 0.75},
        {"name": "more", "weight": 0.25},
    ]
    house.configfile.write_text(yaml.safe_dump(raw, sort_keys=False))
    done = house.snakemake("--cores", "2", "--", REPORT)
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def cards(house: House, dataset: str) -> list[dict]:
    return [
        json.loads(path.read_text())
        for path in house.path.glob(f"results/datasets/{dataset}/select-*/selection.json")
    ]


def test_what_is_left_out_is_counted_shown_and_not_learnt(selected):
    (card,), (other,) = cards(selected, "sums"), cards(selected, "more")
    assert (card["rows"], other["rows"]) == (120, 40) and 0 < card["kept"] < 120
    assert [one["filter"] for one in card["left_out"]] == [
        "boxed_answer",
        "overlap",
        "tokens",
        "near_duplicates",
        "max_per_source",
    ]
    found = (
        json.loads(path.read_text())
        for path in selected.path.glob("results/datasets/sums/*/sums_manifest.json")
    )
    (made,) = (one for one in found if "left_out" in one)  # beside that of the experiment without a selection
    known = [made["kept"], made["dropped"]["left_out"]["count"]]
    assert known == [card["kept"], 120 - card["kept"]]
    page = (selected.path / REPORT).read_text()
    assert "left out by" in page and card["left_out"][2]["samples"][0]["question"][:20] in page
    table = json.loads((selected.path / "results/experiments/small/report/mixed_quality.json").read_text())
    assert table["datasets"] == ["sums", "more"]
    rows = {one["measure"]: [each["rows"] for each in one["datasets"]] for one in table["rows"]}
    assert rows["left out"] == [120 - card["kept"], 40 - other["kept"]]


def test_one_filter_reruns_what_follows_from_it(selected):
    assert not selected.planned("--", REPORT)
    with selected.replaced("experiment.yaml", "max_tokens: 150", "max_tokens: 140"):
        again = selected.planned("--", REPORT)
    assert again["select_rows"] == 2 and again["tokenize_merge"] == 2 and again["train"] == 1
    assert (
        not {"fetch_generated_shard", "fetch_digest", "convert_hf_to_mcore", "generate_base_answers"}
        & again.keys()
    )


def test_each_step_takes_its_share_of_both(selected):
    done = json.loads((selected.path / DONE).read_text())
    assert [(one["dataset"], one["samples"]) for one in done["mix"]] == [("sums", 12), ("more", 4)]


def test_another_weight_trains_again_and_neither_selects_nor_tokenizes(selected):
    assert not selected.planned("--", DONE)
    with selected.replaced("experiment.yaml", "weight: 0.75", "weight: 0.5"):
        assert selected.planned("--", DONE) == {"train": 1}
        assert not {"select_rows", "tokenize_shard"} & selected.planned("--", REPORT).keys()


def test_selections_are_shared_by_what_decides_them():
    def chosen(**more: object) -> str:
        return config.load(selecting(**more)).experiments["small"].tokenize.selection.name

    assert chosen() == chosen() != chosen(max_per_source=50)
    raw = selecting()
    raw["experiments"]["other"] = copy.deepcopy(raw["experiments"]["small"])
    raw["experiments"]["other"]["train"]["lr"] = 1e-4
    raw["experiments"]["third"] = copy.deepcopy(raw["experiments"]["small"]) | {
        "problems": ["sums-heldout", "more"]
    }
    raw["problem_sets"]["more"] = {"generator": {"seed": 60, "rows": 8}}
    found = config.load(raw).experiments
    names = [found[name].tokenize.selection.name for name in ("small", "other", "third")]
    # rows are looked through for the problems of all of an experiment's sets
    assert names[0] == names[1] != names[2]
    assert found["third"].tokenize.selection.problems == ("sums-heldout", "more")
    assert stage_inputs.counting_model(found["small"].tokenize) == ["resources/models/tiny/manifest.json"]
    del raw["experiments"]["small"]["select"]["max_tokens"]
    assert stage_inputs.counting_model(config.load(raw).experiments["small"].tokenize) == []
    assert config.load(SMALL).experiments["small"].tokenize.selection is None


def test_datasets_of_a_mix_are_compared_in_their_order():
    """A later dataset's selection follows from those before it, whatever their shares; one that compares nothing from none."""

    def chosen(*names: str, **more: object) -> dict:
        raw = selecting(**more)
        raw["datasets"] |= {"more": MORE, "third": MORE}
        raw["experiments"]["small"]["dataset"] = [{"name": one, "weight": len(one)} for one in names]
        return {part.dataset: part.tokenize.selection for part in config.load(raw).experiments["small"].parts}

    alone = chosen("sums", "more", "third", near_duplicates=False)
    found = chosen("sums", "more", "third")
    assert [alone[one].earlier for one in alone] == [(), (), ()]
    pairs = [(one, found[one].name) for one in found]
    assert [found[one].earlier for one in found] == [(), tuple(pairs[:1]), tuple(pairs[:2])]
    turned = chosen("more", "sums")
    assert turned["more"].earlier == () and turned["more"].name != found["more"].name
    assert shard_files.earlier(turned["sums"]) == [
        f"results/datasets/more/{turned['more'].name}/questions.parquet"
    ]


def test_the_plan_counts_the_step_and_tells_contradictions():
    steps = {one.name: one for one in estimate.of(gather(config.load(selecting()), "small")).steps}
    assert steps["select"].rules == ("select_rows",) and steps["select"].seconds > 0
    assert "select" not in {one.name for one in estimate.of(gather(config.load(SMALL), "small")).steps}
    raw = selecting()
    raw["experiments"]["small"]["tokenize"] = {"engine": "mindspeed-llm"}
    found = [one for one in checks.run(config.load(raw)) if one.id == "mindspeed-reader"]
    assert [one.keys for one in found] == [("experiments.small.tokenize.engine", "experiments.small.select")]
    with pytest.raises(Problem, match="min_tokens 200 above max_tokens 150, no row is both"):
        config.load(selecting(min_tokens=200))
    with pytest.raises(Problem, match=r"experiments\.small\.select\.overlap_words"):
        config.load(selecting(overlap_words=7))
