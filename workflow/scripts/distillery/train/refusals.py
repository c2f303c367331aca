"""Flags that contradict config.json, or ask for what the built-in engine does not have: refused, never ignored."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from distillery.problems import UsageProblem

if TYPE_CHECKING:
    from distillery.architecture import Architecture

# flag, type, attribute of Architecture it must equal
ARCHITECTURE = [
    ("--num-layers", int, "num_layers"),
    ("--hidden-size", int, "hidden_size"),
    ("--ffn-hidden-size", int, "ffn_hidden_size"),
    ("--num-attention-heads", int, "num_attention_heads"),
    ("--num-query-groups", int, "num_query_groups"),
    ("--kv-channels", int, "kv_channels"),
    ("--rotary-base", float, "rotary_base"),
    ("--norm-epsilon", float, "norm_epsilon"),
]
# would change the result, and this engine cannot do it; what to do instead
REFUSED = {
    "noop-layers": "convert the weights without empty layers; stages of unequal size need --num-layer-list only",
    "context-parallel-size": "lower --seq-length, or spread the model with TP and PP",
    "num-layers-per-virtual-pipeline-stage": "use plain stages (--pipeline-model-parallel-size)",
    "lora-r": "train all weights, or set the experiment's engine to mindspeed-llm",
    "lora-target-modules": "train all weights, or set the experiment's engine to mindspeed-llm",
}
ELSEWHERE = "leave it out, or set the experiment's engine to mindspeed-llm"
# flag: its type, the one value that this engine knows, what to do instead
ONLY = {
    "attention-dropout": (float, 0.0, ELSEWHERE),
    "hidden-dropout": (float, 0.0, ELSEWHERE),
    "stage": (str, "sft", ELSEWHERE),
    "normalization": (str, "RMSNorm", "leave it out: Qwen2 and Llama have no other"),
    "position-embedding-type": (str, "rope", "leave it out: Qwen2 and Llama have no other"),
}


def check(args: argparse.Namespace, arch: Architecture) -> None:
    """Flags agree with config.json and with what this engine computes.

    Raises:
        UsageProblem: a flag contradicts config.json, or asks for what this engine cannot do.
    """
    for name, fix in REFUSED.items():
        given = getattr(args, name.replace("-", "_"))
        if given not in (None, ["1"]):  # one rank or stage is what there is
            raise UsageProblem(
                "the built-in engine does not have this", where=f"--{name}", found=" ".join(given), fix=fix
            )
    for name, (_, holds, fix) in ONLY.items():
        given = getattr(args, name.replace("-", "_"))
        if given not in (None, holds):
            raise UsageProblem(
                "the built-in engine does not have this",
                where=f"--{name}",
                found=given,
                wanted=holds,
                fix=fix,
            )
    for flag, _, attribute in ARCHITECTURE:
        given = getattr(args, flag.removeprefix("--").replace("-", "_"))
        if given is not None and given != getattr(arch, attribute):
            raise _contradiction(flag, given, getattr(arch, attribute))
    for flag, given, holds in [
        (
            "--untie-embeddings-and-output-weights",
            args.untie_embeddings_and_output_weights,
            arch.untie_embeddings_and_output_weights,
        ),
        ("--add-qkv-bias", args.add_qkv_bias, arch.add_qkv_bias),
    ]:
        if given and not holds:
            raise _contradiction(flag, "given", "the opposite")
    if args.seq_length > arch.max_position_embeddings:
        raise UsageProblem(
            "rows longer than the model's context",
            where="--seq-length",
            found=args.seq_length,
            wanted=f"at most max_position_embeddings = {arch.max_position_embeddings} of config.json",
            fix="lower --seq-length, or raise max_position_embeddings in the model's config.json on purpose",
        )


def _contradiction(flag: str, found: object, wanted: object) -> UsageProblem:
    return UsageProblem(
        "a flag contradicts the model's config.json",
        where=flag,
        found=found,
        wanted=wanted,
        fix=f"leave {flag} out: config.json says it",
    )
