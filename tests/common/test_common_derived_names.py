"""What is made of something named: different settings, different names; equal settings, equal names."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES

from distillery import artefacts, config, schema, sweep
from distillery.derived_names import derived
from distillery.problems import Problem

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
NAME = schema.schema()["$defs"]["name"]["pattern"].replace("$", r"\Z")
KEYS = st.sampled_from(["train.lr", "train.seed", "generate.seed", "layout", "rotary_base", "prompt_type"])
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    # what could be taken for another key's value, a number, a digest
    st.sampled_from(["1", "true", "a-seed1", "1-lr2", "seed", "-x", "x0123456789ab", "1e-05", "null"]),
)
VALUES = st.recursive(
    PLAIN, lambda one: st.lists(one, max_size=2) | st.dictionaries(st.text(max_size=3), one, max_size=2)
)
ROPES = st.fixed_dictionaries(
    {},
    optional={
        "rotary_base": st.floats(1.001, 1e12) | st.integers(2, 10**12),
        "max_position_embeddings": st.integers(256, 10**7),
    },
)


def same(one, other) -> bool:
    """Equal as settings are: 1 and 1.0 are, 1 and True are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@given(st.lists(KEYS, min_size=1, max_size=3, unique=True), st.data())
def test_names_are_equal_just_where_values_are(keys, data):
    one, other = ({key: data.draw(VALUES) for key in keys} for _ in range(2))
    for settings in (one, other):
        name = derived("small", settings)
        assert name.startswith("small-") and len(name) <= 100
        assert re.search(NAME, name), name
        assert name == derived("small", copy.deepcopy(settings))
    assert (derived("small", one) == derived("small", other)) == same(one, other)


def with_rope(rope: dict, **more) -> dict:
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["small"]["train"]["rope"] = {"override": True, **rope}
    return raw | more


@given(ROPES, ROPES)
def test_models_with_other_rotary_settings_are_others(one, other):
    first, second = (
        artefacts.rotated(config.load(with_rope(rope)).experiments["small"]) for rope in (one, other)
    )
    assert (first == second) == (one == other)
    assert first == "tiny" if not one else first.startswith("tiny-")


def test_the_names_that_met_once():
    settings = [
        {"rotary_base": 300},
        {"max_position_embeddings": 300},
        {"rotary_base": 1000000},
        {"rotary_base": 1000001},
    ]
    names = [artefacts.rotated(config.load(with_rope(one)).experiments["small"]) for one in settings]
    assert names == [
        "tiny-rotary_base300",
        "tiny-max_position_embeddings300",
        "tiny-rotary_base1000000",
        "tiny-rotary_base1000001",
    ]


def test_a_sweep_is_named_by_values_not_by_their_places():
    layouts = [{"tensor_parallel_size": 1}, {"tensor_parallel_size": 2}]
    plain = {key: value for key, value in SMALL["experiments"]["small"].items() if key != "layout"}
    one, other = (
        sweep.expand({"small": {**plain, "sweep": {"layout": listed}}})[0]
        for listed in (layouts, layouts[::-1])
    )
    assert one == other and len(one) == 2


def refused(raw: dict) -> str:
    with pytest.raises(Problem) as caught:
        config.load(raw)
    return str(caught.value)


def test_a_users_model_of_a_derived_name_is_an_error():
    raw = with_rope({"rotary_base": 300})
    raw["models"]["tiny-rotary_base300"] = raw["models"]["tiny"]
    assert "models.tiny-rotary_base300: bears the name" in refused(raw)


def test_two_models_that_would_get_one_name_are_an_error():
    raw = with_rope({"rotary_base": 300, "max_position_embeddings": 512})
    raw["models"]["tiny-rotary_base300"] = raw["models"]["tiny"]
    other = copy.deepcopy(raw["experiments"]["small"])
    other["model"], other["train"]["rope"] = "tiny-rotary_base300", {"max_position_embeddings": 512}
    raw["experiments"]["other"] = other
    assert "tiny-rotary_base300-max_position_embeddings512" in refused(raw)


def test_an_experiment_of_a_swept_name_is_an_error():
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["small-seed1"] = copy.deepcopy(raw["experiments"]["small"])
    raw["experiments"]["small"]["sweep"] = {"train.seed": [1, 2]}
    assert "experiments.small-seed1: bears the name" in refused(raw)


def test_an_experiment_has_logs_of_its_own():
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["models"] = raw["experiments"].pop("small")
    assert "experiments.models: logs/models holds" in refused(raw)


def test_a_dataset_lies_where_no_file_of_another_does():
    raw = copy.deepcopy(SMALL)
    raw["datasets"]["sums.rows.json"] = raw["datasets"]["sums.handler.json"] = raw["datasets"]["sums"]
    assert refused(raw).count("bears the name of a file that is made of sums") == 2


def test_wheels_of_one_name_are_told_by_their_digests():
    wheels = [("a-1==2", "0" * 64), ("a==1-2", "1" * 64), ("a==1-2", "2" * 64)]
    assert len({artefacts.wheel({"package": name, "sha256": digest}) for name, digest in wheels}) == 3


@pytest.mark.parametrize("path", ["train.lr", "tokenize.max_rejected_share", "generate.top_p", "train.seed"])
def test_equal_numbers_are_one_setting(path):
    loaded = []
    for value in (1, 1.0):
        raw = copy.deepcopy(SMALL)
        part, key = path.split(".")
        raw["experiments"]["small"].setdefault(part, {})[key] = value
        loaded.append(config.load(raw).experiments["small"])
    one, other = loaded
    assert repr(one.settings) == repr(other.settings)
    assert one.tokenize.name == other.tokenize.name
