"""Flags that say the model's shape again: the reference's own, taken by both commands, and held against config.json."""

from __future__ import annotations

import argparse

import pytest

from distillery import megatron_flags
from distillery.launch import commandline
from distillery.launch.mindspeed import accepted_flags
from distillery.megatron_flags import (
    FIXED,
    FIXED_SWITCHES,
    SHAPE,
    SHAPE_SWITCHES,
    SILENT_SWITCHES,
    SILENT_VALUES,
)
from distillery.model_config import from_config
from distillery.problems import UsageProblem

SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rope_theta": 500.0,
    "max_position_embeddings": 64,
}
QWEN = from_config({"model_type": "qwen2", **SIZES})
LLAMA = from_config({"model_type": "llama", **SIZES, "tie_word_embeddings": True})


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    megatron_flags.add_to(parser)
    return parser.parse_args(words)


def test_they_are_flags_of_the_references_parser():
    known = accepted_flags.options("posttrain_gpt.py")
    switches = {
        name: name in (*SHAPE_SWITCHES, *FIXED_SWITCHES, *SILENT_SWITCHES)
        for name in (*SHAPE, *SHAPE_SWITCHES, *FIXED, *FIXED_SWITCHES, *SILENT_SWITCHES, *SILENT_VALUES)
    }
    found = {name: known.get(megatron_flags.option(name), {}).get("type") for name in switches}
    assert {name: kind == "switch" for name, kind in found.items() if kind} == switches


@pytest.mark.parametrize("model", [QWEN, LLAMA])
def test_a_models_own_flags_agree_with_it(model):
    args = parsed(*commandline.words(megatron_flags.of(model)))
    assert args.num_attention_heads == 4 and args.add_qkv_bias == model.add_qkv_bias
    megatron_flags.check(args, model)


@pytest.mark.parametrize("name", SHAPE)
@pytest.mark.parametrize("value", [0, 7])
def test_a_shape_that_config_json_does_not_have_is_refused(name, value):
    with pytest.raises(UsageProblem, match=f"{megatron_flags.option(name)}(?s:.)*{value}"):
        megatron_flags.check(parsed(megatron_flags.option(name), str(value)), QWEN)


@pytest.mark.parametrize(
    ("words", "model"),
    [
        (["--add-qkv-bias"], LLAMA),
        (["--untie-embeddings-and-output-weights"], LLAMA),
        (["--normalization", "LayerNorm"], QWEN),
        (["--position-embedding-type", "alibi"], QWEN),
    ],
)
def test_what_the_model_does_not_have_is_refused(words, model):
    with pytest.raises(UsageProblem, match=words[0]):
        megatron_flags.check(parsed(*words), model)
