"""JSON beside data and weights: whatever stands in it, a right result or a Problem that names file and key."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery import json_files, model_config
from distillery.problems import Problem

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CONFIG = {
    "model_type": "qwen2",
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 4,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "rope_parameters": None,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "use_sliding_window": False,
}


def test_a_byte_order_mark_is_no_part_of_the_content(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert json_files.read(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b'{"a": true.', "Expecting"),
        (b'{"a": 1', "line 1"),
        (b"[1]", "wanted: an object"),
        (b"null", "found:  None"),
        (b"\xff\xfe{}", "byte 0"),
        (b'{"a": "\xe4"}', "byte 7"),
        (b'{"a":' * 200 + b"1" + b"}" * 200, "more than 100 levels"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "digit"),
    ],
)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path, data, words):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(Problem) as caught:
        json_files.read(tmp_path / "a.json")
    assert words in str(caught.value) and str(tmp_path / "a.json") in str(caught.value)


@pytest.mark.parametrize("name", ["1" * 300, "字" * 100, "\ud800", "a\0b", "", "a/b"], ids=repr)
def test_a_name_that_no_file_can_have_is_refused_with_its_key(name):
    index = json.dumps({"weight_map": {"w": name}}).encode()
    with pytest.raises(Problem, match="weight_map, w\n.*\n.*wanted: the name of a file"):
        json_files.parse(index, "model.safetensors.index.json")
    done = json.dumps({"checkpoint": name}).encode()
    if name == "a/b":
        assert json_files.parse(done, "train/done.json")["checkpoint"] == name
    else:
        with pytest.raises(Problem, match="checkpoint\n.*\n.*wanted: a path"):
            json_files.parse(done, "train/done.json")


def test_a_missing_key_names_its_place(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [{"b": {}}]}')
    record = json_files.read(tmp_path / "a.json")
    with pytest.raises(Problem, match=r"a\.json, a\.0, b, name"):
        record["a"][0]["b"]["name"]
    with pytest.raises(Problem, match="a whole number from 1"):
        json_files.parse(b'{"n": 0}', "m.json").typed("n", int, least=1)
    with pytest.raises(Problem, match="an object"):
        json_files.parse(b'{"n": [1]}', "m.json").records("n")


@settings(max_examples=300, deadline=None)
@given(key=st.sampled_from(sorted(CONFIG)), value=ANYTHING)
def test_any_value_at_any_key_of_config_json(key, value):
    """A right result, or a Problem with the key: nothing else comes out."""
    data = json.dumps({**CONFIG, key: value}).encode()
    try:
        found = model_config.from_config(json_files.parse(data, "config.json"), "config.json")
    except Problem as problem:
        assert "config.json" in str(problem)
    else:
        assert found.num_layers == json.loads(data)["num_hidden_layers"]


@given(value=ANYTHING, name=st.sampled_from(["factor", "rope_theta", "rope_type", "low_freq_factor"]))
def test_any_value_at_any_rotary_key(value, name):
    scaling = {"rope_type": "linear", "factor": 2.0, name: value}
    try:
        model_config.from_config(json_files.Record(CONFIG | {"rope_scaling": scaling}), "config.json")
    except Problem as problem:
        assert "rope_scaling" in str(problem)


@pytest.mark.parametrize("layers", [10**9, 0, -1, True, "2", 2.5])
def test_sizes_beyond_sense_are_refused_before_they_are_enumerated(layers):
    with pytest.raises(Problem, match="num_hidden_layers"):
        model_config.from_config(json_files.Record(CONFIG | {"num_hidden_layers": layers}), "config.json")
