"""Rotary position embedding: inverse frequencies of each kind, and the rotation of MCore and Hugging Face.

Both rotate half vectors: (x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin), x1 the first half of a head.
Kinds: default (RoFormer, arXiv 2104.09864), linear (arXiv 2306.15595), llama3 (Llama 3.1's wavelength
bands), yarn (arXiv 2309.00071). Frequencies are computed in float32 in the order transformers uses.
"""

from __future__ import annotations

import math

import numpy as np
from mindspore import Tensor, ops

from distillery.architecture import Architecture
from distillery.problems import Problem


def inverse_frequencies(arch: Architecture) -> tuple[np.ndarray, float]:
    """(float32 [head_dim/2], factor by which cos and sin are multiplied).

    Raises:
        Problem: the scaling kind is not one of default, linear, llama3, yarn.
    """
    d, theta = arch.kv_channels, arch.rotary_base
    powers = np.float32(theta) ** (np.arange(0, d, 2, dtype=np.float32) / np.float32(d))
    plain = (np.float32(1.0) / powers).astype(np.float32)
    scaling = dict(arch.rope_scaling)
    kind = scaling.get("rope_type", "default")
    if kind == "default":
        return plain, 1.0
    if kind == "linear":
        return plain / np.float32(scaling["factor"]), 1.0
    if kind == "llama3":
        return _llama3(plain, scaling, arch.max_position_embeddings), 1.0
    if kind == "yarn":
        return _yarn(powers, scaling, arch)
    raise Problem(
        "unknown RoPE scaling",
        where="config.json, rope_scaling",
        found=kind,
        wanted="default, linear, llama3 or yarn",
        fix="use the mindspeed-llm engine for this model",
    )


def _llama3(plain: np.ndarray, scaling: dict, max_positions: int) -> np.ndarray:
    """Long waves are stretched by `factor`, short ones kept, those between are interpolated."""
    factor, low, high = (float(scaling[k]) for k in ("factor", "low_freq_factor", "high_freq_factor"))
    context = float(scaling.get("original_max_position_embeddings", max_positions))
    wave = 2 * math.pi / plain
    smooth = (context / wave - low) / (high - low)
    between = (1 - smooth) * plain / factor + smooth * plain
    stretched = np.where(wave > context / low, plain / factor, plain)
    return np.where((wave <= context / low) & (wave >= context / high), between, stretched).astype(np.float32)


def _yarn(powers: np.ndarray, scaling: dict, arch: Architecture) -> tuple[np.ndarray, float]:
    """Blend of extrapolated (fast dimensions) and interpolated (slow) frequencies by a linear ramp."""
    d, longest = arch.kv_channels, arch.max_position_embeddings
    context = float(scaling.get("original_max_position_embeddings") or longest)
    factor = float(scaling.get("factor") or longest / context)
    fast, slow = float(scaling.get("beta_fast") or 32), float(scaling.get("beta_slow") or 1)

    def dimension(rotations: float) -> float:
        return d * math.log(context / (rotations * 2 * math.pi)) / (2 * math.log(arch.rotary_base))

    low, high = dimension(fast), dimension(slow)
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, d - 1)
    ramp = (np.arange(d // 2, dtype=np.float32) - low) / max(high - low, 0.001)
    keep = 1 - np.clip(ramp, 0, 1)
    blended = 1.0 / (factor * powers) * (1 - keep) + 1.0 / powers * keep
    attention = scaling.get("attention_factor")
    if attention is None:
        attention = _yarn_attention(factor, scaling)
    return blended.astype(np.float32), float(attention)


def _yarn_attention(factor: float, scaling: dict) -> float:
    def magnitude(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    mscale, all_dim = scaling.get("mscale"), scaling.get("mscale_all_dim")
    return magnitude(mscale) / magnitude(all_dim) if mscale and all_dim else magnitude(1.0)


def angles(positions: Tensor, frequencies: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    """(cos, sin), each float32 [..., head_dim/2], of integer `positions` [...]."""
    phase = positions.astype("float32").expand_dims(-1) * frequencies
    return ops.cos(phase) * factor, ops.sin(phase) * factor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate heads x [..., head_dim] by cos/sin that broadcast to [..., head_dim/2]."""
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    return ops.concat((first * cos - second * sin, second * cos + first * sin), -1)
