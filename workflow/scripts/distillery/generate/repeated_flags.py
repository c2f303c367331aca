"""Flags that the reference's generate script repeats from elsewhere.

A shape flag must agree with config.json, which is where the shape comes from here. Switches of its
kernels and checkpoint loader are taken and have nothing to switch.
"""

from __future__ import annotations

import argparse

from distillery.architecture import Architecture
from distillery.problems import UsageProblem

# flag -> the field of Architecture that it repeats
SHAPES = {
    "num_layers": ("num_layers", int),
    "hidden_size": ("hidden_size", int),
    "ffn_hidden_size": ("ffn_hidden_size", int),
    "num_attention_heads": ("num_attention_heads", int),
    "num_query_groups": ("num_query_groups", int),
    "kv_channels": ("kv_channels", int),
    "rotary_base": ("rotary_base", float),
    "norm_epsilon": ("norm_epsilon", float),
}
VALUES = (
    "num_layer_list make_vocab_size_divisible_by "
    "padded_vocab_size normalization position_embedding_type attention_dropout hidden_dropout tokenizer_type "
    "ai_framework distributed_backend max_position_embeddings max_tokens_to_oom"
).split()
SWITCHES = (
    "use_mcore_models group_query_attention disable_bias_linear add_qkv_bias swiglu tokenizer_not_use_fast "
    "untie_embeddings_and_output_weights use_fused_swiglu use_fused_rmsnorm use_fused_rotary_pos_emb use_flash_attn "
    "no_gradient_accumulation_fusion no_masked_softmax_fusion attention_softmax_in_fp32 exit_on_missing_checkpoint "
    "use_kv_cache bf16 fp16 no_load_optim no_load_rng"
).split()


def add(parser: argparse.ArgumentParser) -> None:
    """Take these flags, so that a line of the reference's script runs unchanged."""
    group = parser.add_argument_group(
        "flags of the reference's script",
        "Shapes must agree with config.json; --num-layer-list says how stages share the layers (default: evenly). "
        "The rest has no effect: the cache is always used.",
    )
    for name, (_, kind) in SHAPES.items():
        group.add_argument(_flag(name), type=kind, help=argparse.SUPPRESS)
    for name in VALUES:
        group.add_argument(_flag(name), help=argparse.SUPPRESS)
    for name in SWITCHES:
        group.add_argument(_flag(name), action="store_true", help=argparse.SUPPRESS)


def check(args: argparse.Namespace, arch: Architecture) -> None:
    """Flags that repeat config.json agree with it.

    Raises:
        UsageProblem: a shape flag contradicts config.json.
    """
    for name, (field, _) in SHAPES.items():
        found, wanted = getattr(args, name), getattr(arch, field)
        if found is not None and found != wanted:
            raise UsageProblem(
                "a flag contradicts the model's config.json",
                where=_flag(name),
                found=found,
                wanted=wanted,
                fix=f"leave {_flag(name)} out: it is read from config.json",
            )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
