"""What a model is: config.json read as transformers reads it, whatever keys are left out, by both of its users."""

from __future__ import annotations

import json
import math

import pytest
from engine_oracle import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.architecture import FAMILIES
from distillery.convert import tensor_map
from distillery.engine import supported_models
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
    return {"model_type": draw(st.sampled_from(sorted(FAMILIES))), **SIZES, **json.loads(json.dumps(chosen))}


@settings(max_examples=300, deadline=None)
@given(configs())
def test_a_config_means_what_it_means_to_transformers(config):
    found = supported_models.from_config(config)
    wanted = KINDS[config["model_type"]].from_dict(json.loads(json.dumps(config)))
    rope = wanted.rope_parameters
    assert found.num_query_groups == wanted.num_key_value_heads
    assert found.max_position_embeddings == wanted.max_position_embeddings
    assert found.tied == wanted.tie_word_embeddings
    assert found.norm_epsilon == wanted.rms_norm_eps
    assert found.rotary_base == rope["rope_theta"]
    scaling = dict(found.rope_scaling)
    assert scaling.get("rope_type", "default") == rope["rope_type"]
    assert scaling.get("factor") == rope.get("factor")


@pytest.mark.parametrize(("family", "context"), [("qwen2", 32768), ("llama", 2048)])
def test_a_missing_context_is_the_familys_own(tmp_path, family, context):
    config = {"model_type": family, **SIZES, "num_key_value_heads": 4}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for side in (supported_models, tensor_map):
        assert side.read(tmp_path).max_position_embeddings == context
    assert KINDS[family]().max_position_embeddings == context


@settings(max_examples=50, deadline=None)
@given(configs())
def test_parameters_are_those_of_all_tensors(config):
    found = supported_models.from_config(config)
    assert found.num_parameters == sum(map(math.prod, tensor_map.shapes(found).values()))


def test_each_side_refuses_what_it_cannot_do_itself(tmp_path):
    qwen, llama = ({"model_type": family, **SIZES, "num_key_value_heads": 4} for family in ("qwen2", "llama"))
    cases = [  # the decoder's refusal, the converter's
        ({**qwen, "use_sliding_window": True}, "use_sliding_window", None),
        ({**qwen, "hidden_act": "gelu"}, "hidden_act", None),
        ({**qwen, "rope_scaling": {"type": "longrope", "factor": 2.0}}, None, None),  # rope.py refuses it
        ({**qwen, "quantization_config": {"bits": 4}}, None, "quantization_config"),
        ({**llama, "attention_bias": True}, "attention_bias", "attention_bias"),
        ({**llama, "mlp_bias": True}, "mlp_bias", "mlp_bias"),
        ({**llama, "model_type": "gemma"}, "qwen2 or llama", "qwen2 or llama"),
        ({**llama, "num_key_value_heads": 5}, "5 groups", "5 groups"),
        ({**llama, "head_dim": 7}, "head_dim 7", "head_dim 7"),
        ({**llama, "vocab_size": None}, "no vocab_size", "no vocab_size"),
    ]
    for config, *refusals in cases:
        (tmp_path / "config.json").write_text(json.dumps(config))
        for side, refusal in zip((supported_models, tensor_map), refusals, strict=True):
            if refusal is None:
                assert side.read(tmp_path).num_layers == 2
            else:
                with pytest.raises(Problem, match=refusal):
                    side.read(tmp_path)
