"""Megatron's flags that say again what a model is, and those that have nothing to switch in the built-in engine.

The reference's scripts for training and generation are read by one parser, and so are their flags here: a script's line
runs unchanged. The shape comes from config.json; a flag that says it otherwise is refused.
"""

from __future__ import annotations

import argparse
from typing import Any

from distillery.architecture import Architecture
from distillery.problems import UsageProblem

# fields of Architecture, each called as its flag, by type; a switch says what may be true of a model
SHAPE = {
    "num_layers": int,
    "hidden_size": int,
    "ffn_hidden_size": int,
    "num_attention_heads": int,
    "num_query_groups": int,
    "kv_channels": int,
    "rotary_base": float,
    "norm_epsilon": float,
}
SHAPE_SWITCHES = ("add_qkv_bias", "untie_embeddings_and_output_weights", "qk_layernorm")
# what all models here have
FIXED = {"normalization": "RMSNorm", "position_embedding_type": "rope"}
FIXED_SWITCHES = ("disable_bias_linear", "swiglu")
# said by every script, implied by the families, or without meaning on this engine
SILENT_SWITCHES = """use_mcore_models group_query_attention use_rotary_position_embeddings use_fused_rmsnorm use_fused_swiglu
    use_fused_rotary_pos_emb use_flash_attn no_masked_softmax_fusion attention_softmax_in_fp32 use_kv_cache
    no_gradient_accumulation_fusion no_bias_gelu_fusion no_bias_swiglu_fusion overlap_grad_reduce overlap_param_gather
    reuse_fp32_param variable_seq_lengths finetune no_load_optim no_load_rng no_save_optim no_save_rng
    is_instruction_dataset exit_on_missing_checkpoint npu_deterministic no_shared_storage
    tokenizer_not_use_fast""".split()
SILENT_VALUES = """tokenizer_type tokenizer_model vocab_size padded_vocab_size make_vocab_size_divisible_by
    max_position_embeddings init_method_std initial_loss_scale distributed_backend distributed_timeout_minutes ai_framework
    transformer_impl eval_language pad_to_multiple_of ckpt_format num_workers max_tokens_to_oom""".split()


def option(name: str) -> str:
    """`num_layers` as `--num-layers`."""
    return "--" + name.replace("_", "-")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Take all of these flags."""
    shape = parser.add_argument_group(
        "architecture: config.json says it; a flag that contradicts it is an error"
    )
    for name, kind in SHAPE.items():
        shape.add_argument(option(name), type=kind, metavar="N" if kind is int else "X")
    for name in FIXED:
        shape.add_argument(option(name), metavar="NAME")
    for name in SHAPE_SWITCHES:
        shape.add_argument(option(name), action="store_true")
    for name in (*FIXED_SWITCHES, *SILENT_SWITCHES):
        parser.add_argument(option(name), action="store_true", help=argparse.SUPPRESS)
    for name in SILENT_VALUES:
        parser.add_argument(option(name), help=argparse.SUPPRESS)
    parser.add_argument(
        "--spec", nargs="*", help=argparse.SUPPRESS
    )  # module and function of the reference's layers


def check(args: argparse.Namespace, arch: Architecture) -> None:
    """Compare what was given with config.json.

    Raises:
        UsageProblem: a flag contradicts it, or asks for what no model here has.
    """
    for name, wanted in FIXED.items():
        if getattr(args, name) not in (None, wanted):
            raise UsageProblem(
                "the built-in engine does not have this",
                where=option(name),
                found=getattr(args, name),
                wanted=wanted,
                fix="leave it out: no family here has another",
            )
    for name in (*SHAPE, *SHAPE_SWITCHES):
        found, wanted = getattr(args, name), getattr(arch, name)
        if found is not None and found is not False and found != wanted:
            raise UsageProblem(
                "a flag contradicts the model's config.json",
                where=option(name),
                found=found,
                wanted=wanted,
                fix=f"leave {option(name)} out: config.json says it",
            )


def of(model: Architecture) -> dict[str, Any]:
    """The flags that say a model's shape, in the order of the reference's scripts; what it takes for granted is None."""
    heads, grouped = model.num_attention_heads, model.num_query_groups != model.num_attention_heads
    usual = model.kv_channels * heads == model.hidden_size and not model.qk_layernorm
    return {
        **{name: getattr(model, name) for name in ("num_layers", "hidden_size", "ffn_hidden_size")},
        "num_attention_heads": heads,
        "group_query_attention": grouped,
        "num_query_groups": model.num_query_groups if grouped else None,
        "kv_channels": None if usual else model.kv_channels,
        "qk_layernorm": model.qk_layernorm,
        "disable_bias_linear": True,
        "add_qkv_bias": model.add_qkv_bias,
        "swiglu": True,
        "normalization": FIXED["normalization"],
        "norm_epsilon": model.norm_epsilon,
        "position_embedding_type": FIXED["position_embedding_type"],
        "rotary_base": model.rotary_base,
        "untie_embeddings_and_output_weights": model.untie_embeddings_and_output_weights,
        # config.json's vocabulary is already padded; Megatron must not pad it further
        "make_vocab_size_divisible_by": 1,
        "padded_vocab_size": model.vocab_size,
    }
