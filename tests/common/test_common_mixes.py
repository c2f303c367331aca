"""An experiment of several datasets: what is planned of each, the line that trains on them, and what is no mix."""

from __future__ import annotations

import copy

import pytest
import yaml
from places import FIXTURES

from distillery import artefacts, config, stage_inputs
from distillery.launch import commandline
from distillery.planning import estimate
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem
from distillery.verify import standing

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
MORE = {"source": {"generator": {"seed": 9, "shards": 1, "rows_per_shard": 40}}}


def mixed(*parts: dict, **train: object) -> dict:
    raw = copy.deepcopy(SMALL)
    raw["datasets"]["more"] = MORE
    raw["experiments"]["small"]["dataset"] = list(parts)
    raw["experiments"]["small"]["train"] |= train
    return raw


BY_WEIGHT = ({"name": "sums", "weight": 0.7}, {"name": "more", "weight": 0.3})
BY_EPOCHS = ({"name": "sums", "epochs": 2}, {"name": "more", "epochs": 1})


def test_weights_stand_before_their_datasets_and_epochs_behind():
    e = config.load(mixed(*BY_WEIGHT)).experiments["small"]
    a, b = (path.removesuffix("_manifest.json") for path in stage_inputs.training_data(e))
    assert commandline.data(e) == ["--data-path", "0.7", a, "0.3", b]
    e = config.load(mixed(*BY_EPOCHS)).experiments["small"]
    assert commandline.data(e) == ["--data-path", a, b, "--data-epochs", "2.0", "1.0"]
    alone = config.load(SMALL).experiments["small"]
    assert commandline.data(alone) == ["--data-path", a]


def test_each_dataset_is_tokenized_as_if_it_stood_alone():
    loaded, alone = config.load(mixed(*BY_WEIGHT)), config.load(SMALL).experiments["small"]
    e = loaded.experiments["small"]
    assert stage_inputs.training_data(e)[0] == artefacts.tokenized(alone).path
    assert len(stage_inputs.training_data(e)) == 2
    stands = {str(one.path) for one in standing.of_others(loaded)}
    assert {artefacts.quality(e.alone(part)).path for part in e.parts} <= stands


def test_mindspeed_reads_the_one_that_the_mix_is_written_as():
    raw = mixed(*BY_WEIGHT, engine="mindspeed-llm")
    e = config.load(raw).experiments["small"]
    assert stage_inputs.training_data(e) == ["results/experiments/small/mix/mix_manifest.json"]
    assert commandline.drawn(e)[:4] == ["--seq-length", "256", "--train-iters", "4"]


def test_the_plan_counts_rows_tokens_and_epochs_of_each():
    setup = gather(config.load(mixed(*BY_WEIGHT)), "small")
    # 4 steps of 4 rows: 11.2 of 120 rows and 4.8 of 40
    assert "sums weight 0.7: 0.0933 epochs of 120 rows" in setup.mix
    assert "more weight 0.3: 0.12 epochs of 40 rows" in setup.mix and "tokens" in setup.mix
    setup = gather(config.load(mixed(*BY_EPOCHS)), "small")
    assert setup.rows == 160
    assert [f"{share:.3g}" for share in (16 * 240 / 280 / 120, 16 * 40 / 280 / 40)] == ["0.114", "0.0571"]
    assert "sums epochs 2: 0.114 epochs" in setup.mix and "more epochs 1: 0.0571 epochs" in setup.mix
    found = estimate.of(setup)
    assert {"tokenize", "tokenize more", "merge more", "quality more"} <= {step.name for step in found.steps}
    assert estimate.of(gather(config.load(SMALL), "small")).assumptions["mix"] is None


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (({"name": "sums", "weight": 1}, {"name": "more"}), ["sums weight, more neither", "never both"]),
        (({"name": "sums", "weight": 1}, {"name": "more", "epochs": 1}), ["sums weight, more epochs"]),
        (
            ({"name": "sums", "weight": 1, "epochs": 1}, {"name": "more", "weight": 1, "epochs": 1}),
            ["never both"],
        ),
        (({"name": "sums", "weight": 1}, {"name": "sums", "weight": 1}), ["sums stands twice"]),
        (({"name": "sums", "weight": 1}, {"name": "mroe", "weight": 1}), ["'mroe'", "more, sums"]),
        (
            ({"name": "sums", "weight": 0}, {"name": "more", "weight": 1}),
            ["experiments.small.dataset.0.weight"],
        ),
        (({"name": "sums", "weight": 1},), ["experiments.small.dataset"]),
    ],
)
def test_what_is_no_mix_is_named(parts, words):
    with pytest.raises(Problem) as caught:
        config.load(mixed(*parts))
    assert all(word in str(caught.value) for word in words), caught.value
