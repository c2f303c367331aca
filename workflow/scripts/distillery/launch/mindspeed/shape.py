"""A model's shape and layout as flags of MindSpeed-LLM's trainer and generator.

The order and the constants are those of its shipped scripts for distilled Qwen (examples/mindspore/
deepseek_r1_distill_qwen, tag v2.2.0). What those repeat by hand (layers, heads, vocabulary, rope base, prompt
type) is derived here, so that it cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery import megatron_flags
from distillery.architecture import Architecture
from distillery.experiment import Layout
from distillery.problems import Problem

Flags = dict[str, Any]

# its fused NPU kernels; the CPU side of this project has no part in them
FUSED = {"use_fused_swiglu": True, "use_fused_rmsnorm": True, "use_fused_rotary_pos_emb": True}
# the layers of a model whose query and key heads are normalized: module and function
NORMED_HEADS = ("mindspeed_llm.tasks.models.spec.qwen3_spec", "layer_spec")
PRECISION = {"bf16": {"bf16": True}, "fp16": {"fp16": True}, "fp32": {}}


def architecture(model: Architecture) -> Flags:
    """Shape flags of a model.

    Raises:
        Problem: the reference's parser cannot express the model (a fractional rope base, an unknown scaling).
    """
    base = model.rotary_base
    if base != int(base):
        raise Problem(
            "MindSpeed-LLM takes whole rotary bases only",
            where="--rotary-base",
            found=base,
            wanted="an integer",
            fix="set train.engine: mindspore",
        )
    return {
        "spec": NORMED_HEADS if model.qk_layernorm else None,
        **megatron_flags.of(model),
        "rotary_base": int(base),
        **_scaling(dict(model.rope_scaling)),
    }


def _scaling(rope: Mapping[str, Any]) -> Flags:
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return {}
    common = {"rope_scaling_type": kind, "rope_scaling_factor": rope.get("factor")}
    # its two scalings read their settings under different names (core/models/common/embeddings/rotary_pos_embedding.py)
    if kind == "llama3":
        own = ("low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        return {**common, **{key: rope.get(key) for key in own}}
    if kind == "yarn":
        own = ("original_max_position_embeddings", "beta_fast", "beta_slow")
        return {**common, **{f"rope_scaling_{key}": rope.get(key) for key in own}}
    raise Problem(
        "no launch line is known for this RoPE scaling",
        where="config.json, rope_scaling.rope_type",
        found=kind,
        wanted="default, llama3 or yarn",
        fix="set train.engine: mindspore, or set its flags in MindSpeed-LLM by hand",
    )


def layout_flags(layout: Layout) -> Flags:
    """How running weights are cut. Stages of unequal depth come with the checkpoint and by number."""
    return {
        "tensor_model_parallel_size": layout.tensor_parallel_size,
        "pipeline_model_parallel_size": layout.pipeline_parallel_size,
        "num_layer_list": stages(layout),
    }


def stages(layout: Layout) -> str | None:
    """Layers of each pipeline stage where they differ, as its flag says them: without spaces."""
    return ",".join(map(str, layout.num_layer_list)) if layout.num_layer_list else None
