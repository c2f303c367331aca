"""Qwen3's lines of MindSpeed-LLM against its shipped scripts (examples/mindspore/qwen3) and its parsers."""

import pytest

from distillery import model_config
from distillery.experiment import Layout
from distillery.launch import commandline
from distillery.launch.mindspeed import accepted_flags, convert_stage, shape

CONFIG = {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}


@pytest.mark.parametrize("framework", ["mindspore", "pytorch"])
def test_its_layers_are_named_and_its_heads_normalized(framework):
    tensors = {"qkv_bias": False, "qk_layernorm": True, "load": "L", "save": "S", "framework": framework}
    there = convert_stage.hf_to_mcore(Layout("bf16", 2, 1), **tensors)
    back = convert_stage.mcore_to_hf("bf16", **tensors)
    model = model_config.from_config(CONFIG)
    for parser, flags in ("posttrain_gpt.py", shape.architecture(model)), there, back:
        line = commandline.words(flags)
        found = dict(accepted_flags.grouped(line))
        assert list(found["--spec"]) == ["mindspeed_llm.tasks.models.spec.qwen3_spec", "layer_spec"]
        assert accepted_flags.faults(parser, line, framework) == []
        if parser == "posttrain_gpt.py":
            assert list(found["--kv-channels"]) == ["128"] and "--qk-layernorm" in found
        else:
            assert list(found["--model-type-hf"]) == ["qwen3"]
