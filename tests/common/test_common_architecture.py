"""What a model is: config.json read as transformers reads it, whatever keys are left out, by all of its users."""

from __future__ import annotations

import json
import math

import pytest
from engine_oracle import config_class
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery import model_config
from distillery.convert import tensor_map, weight_sources
from distillery.model_config import FAMILIES
from distillery.planning import known_models
from distillery.problems import Problem

pytestmark = pytest.mark.slow

SIZES = {
    "vocab_size": 61,
    "hidden_size": 128,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
}
LINEAR = {"rope_type": "linear", "factor": 2.0}
OPTIONAL = {
    "num_key_value_heads": [None, 4, 32],
    "head_dim": [8, 64],
    "max_position_embeddings": [64, 4096],
    "tie_word_embeddings": [True, False],
    "rms_norm_eps": [1e-5, 1e-3],
    "rope_theta": [500.0, 1e6],
    "rope_parameters": [{"rope_theta": 300.0, "rope_type": "default"}, LINEAR, {**LINEAR, "rope_theta": 7e4}],
    "rope_scaling": [None, LINEAR, {"type": "linear", "factor": 2.0, "rope_theta": 9e4}],
}


@st.composite
def configs(draw) -> dict:
    """Any of the keys that may be absent, from files of transformers 4 and 5 or both."""
    chosen = {key: draw(st.sampled_from(values)) for key, values in OPTIONAL.items() if draw(st.booleans())}
    family = draw(st.sampled_from(sorted(FAMILIES)))
    if family == "mistral" and chosen.get("num_key_value_heads", 4) is None:
        del chosen["num_key_value_heads"]  # transformers takes no null there
    return {"model_type": family, **SIZES, **json.loads(json.dumps(chosen))}


@settings(max_examples=300, deadline=None)
@given(configs())
def test_a_config_means_what_it_means_to_transformers(config):
    found = model_config.from_config(config)
    wanted = config_class(config["model_type"]).from_dict(json.loads(json.dumps(config)))
    rope = wanted.rope_parameters
    assert found.num_query_groups == wanted.num_key_value_heads
    assert found.kv_channels == (getattr(wanted, "head_dim", None) or 128 // 32)
    assert found.max_position_embeddings == wanted.max_position_embeddings
    assert found.tied == wanted.tie_word_embeddings
    assert found.norm_epsilon == wanted.rms_norm_eps
    assert found.rotary_base == rope["rope_theta"]
    scaling = dict(found.rope_scaling)
    assert scaling.get("rope_type", "default") == rope["rope_type"]
    assert scaling.get("factor") == rope.get("factor")


@pytest.mark.parametrize(
    ("family", "context"), [("qwen2", 32768), ("qwen3", 32768), ("llama", 2048), ("mistral", 131072)]
)
def test_a_missing_context_is_the_familys_own(tmp_path, family, context):
    config = {"model_type": family, **SIZES, "num_key_value_heads": 4, "sliding_window": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert model_config.read(tmp_path).context == (context, "max_position_embeddings")
    assert config_class(family)().max_position_embeddings == context


@settings(max_examples=50, deadline=None)
@given(configs())
def test_parameters_are_those_of_all_tensors(config):
    found = model_config.from_config(config)
    assert found.num_parameters == sum(map(math.prod, tensor_map.shapes(found).values()))


REFUSED = {
    "MoE": ({"model_type": "qwen3_moe"}, "model_type"),
    "another family": ({"model_type": "gemma"}, "qwen2 or qwen3 or llama or mistral"),
    "gelu": ({"hidden_act": "gelu"}, "hidden_act"),
    "dynamic rope": ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling, rope_type"),
    "long rope": ({"rope_parameters": {"rope_type": "longrope"}}, "rope_parameters, rope_type"),
    "a bias on o_proj": ({"model_type": "llama", "attention_bias": True}, "attention_bias"),
    "and in Qwen3": ({"model_type": "qwen3", "attention_bias": True}, "attention_bias"),
    "a bias in the MLP": ({"model_type": "llama", "mlp_bias": True}, "mlp_bias"),
    "quantised": ({"quantization_config": {"bits": 4}}, "quantization_config"),
    "groups": ({"num_key_value_heads": 5}, "5 groups"),
    "an odd head": ({"head_dim": 7}, "head_dim 7"),
    "no size": ({"vocab_size": None}, "no vocab_size"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_nothing_here_can_compute_is_refused_by_all_alike(tmp_path, case):
    """By who converts, trains or answers, since all read it here; and by a plan, if the files are there."""
    change, named = REFUSED[case]
    config = {"model_type": "qwen2", **SIZES, "num_key_value_heads": 4, **change}
    (tmp_path / "config.json").write_text(json.dumps(config))
    users = [model_config.read, weight_sources.open_hf, known_models.read]
    told = set()
    for user in users:
        with pytest.raises(Problem, match=named) as found:
            user(tmp_path)
        told.add(str(found.value))
    assert len(told) == 1 and "config.json" in told.pop()


@pytest.mark.parametrize(
    ("change", "longest"),
    [
        ({"model_type": "mistral"}, (4096, "sliding_window")),  # silence is the family's own window
        ({"model_type": "mistral", "sliding_window": None}, (8192, "max_position_embeddings")),
        ({"model_type": "mistral", "sliding_window": 9000}, (8192, "max_position_embeddings")),
        ({"model_type": "qwen3", "sliding_window": 64}, (8192, "max_position_embeddings")),
        ({"model_type": "qwen3", "sliding_window": 64, "use_sliding_window": True}, (64, "sliding_window")),
        ({"model_type": "qwen2", "use_sliding_window": True}, (4096, "sliding_window")),
        ({"model_type": "llama", "sliding_window": 64}, (8192, "max_position_embeddings")),
    ],
)
def test_a_sliding_window_is_the_longest_sequence_as_transformers_has_it(change, longest):
    config = {**SIZES, "num_key_value_heads": 4, "max_position_embeddings": 8192, **change}
    found = model_config.from_config(config)
    assert found.context == longest
    wanted = getattr(config_class(config["model_type"]).from_dict(dict(config)), "sliding_window", None)
    assert config["model_type"] == "llama" or found.sliding_window == wanted
