"""Weights as generation's kernels (panels.h) read them: panels of 32 outputs, in the narrowest type that loses nothing.

A bfloat16 or float16 matrix stays what it is, 2 bytes a weight, and so does a float32 one of bfloat16 numbers. Kernels
widen them as they read, which is exact: products and sums are those of a float32 copy, at half of what a step reads.

With `int8` weights are rounded, and scores are others: SCALED inputs of an output share a scale, the largest of their
weights over 127, of which a weight is a whole number: off by half a scale at most.
"""

from __future__ import annotations

from collections.abc import Callable

import ml_dtypes
import numpy as np

LANES = 32  # outputs of a panel, as in panels.h
SCALED = 64  # inputs that share a scale of int8 weights, as there
SCALE_ROWS = 4  # rows of LANES bytes that they take
STORED, INT8 = KINDS = ("stored", "int8")
BLOCK = 1 << 20  # elements that are looked at together: what is held of a matrix beside its panels


def pack(weight: np.ndarray, kind: str = STORED) -> np.ndarray:
    """[outputs, inputs] -> panels [outputs / LANES, inputs, LANES], zeros in the last one's free lanes.

    Returns:
        float32, float16, or uint16: bfloat16 numbers, which MindSpore's kernels of one's own are not given as such. Of
        kind int8 these, with the bytes of LANES float32 scales, four rows, before each SCALED inputs.
    """
    outputs, inputs = weight.shape
    count = -(-outputs // LANES)
    if kind == INT8:
        return _rounded(weight, count, LANES, lambda first, last: pack(weight[first:last]))
    panels = np.zeros((count, inputs, LANES), _narrowest(weight))
    _fill(panels, weight)
    return panels


def pack_gated(fc1: np.ndarray, kind: str = STORED) -> np.ndarray:
    """As `pack`, of rows gate | up: a panel holds LANES/2 gates, then their LANES/2 ups."""
    half, ffn = LANES // 2, fc1.shape[0] // 2
    count = -(-ffn // half)
    if kind == INT8:
        gates, ups = fc1[:ffn], fc1[ffn:]
        return _rounded(
            fc1,
            count,
            half,
            lambda first, last: pack_gated(np.concatenate([gates[first:last], ups[first:last]])),
        )
    panels = np.zeros((count, fc1.shape[1], LANES), _narrowest(fc1))
    _fill(panels[:, :, :half], fc1[:ffn])
    _fill(panels[:, :, half:], fc1[ffn:])
    return panels


def _rounded(
    weight: np.ndarray, count: int, width: int, exact: Callable[[int, int], np.ndarray]
) -> np.ndarray:
    """Panels of int8, made of exact ones a few at a time.

    Args:
        count: of panels.
        exact: makes the exact panels of features first..last, `width` a panel.
    """
    inputs = weight.shape[1]
    blocks = -(-inputs // SCALED)
    made = np.empty((count, inputs + blocks * SCALE_ROWS, LANES), np.int8)
    step = max(1, BLOCK // (LANES * inputs))
    for panel in range(0, count, step):
        wide = widened(exact(panel * width, (panel + step) * width))
        some = made[panel : panel + step]
        for block in range(blocks):
            part = wide[:, block * SCALED : (block + 1) * SCALED]
            # of a weight that is no number, or endless, all of its block become NaN: `check_scores` tells
            top = np.abs(part).max(1, keepdims=True)
            scale = np.where(np.isfinite(top), top / np.float32(127), np.float32("nan"))
            shares = np.divide(part, scale, out=np.zeros_like(part), where=scale > 0)
            at = block * (SCALED + SCALE_ROWS)
            some[:, at : at + SCALE_ROWS] = scale.view(np.int8).reshape(-1, SCALE_ROWS, LANES)
            at += SCALE_ROWS
            some[:, at : at + part.shape[1]] = np.clip(np.rint(shares), -127, 127)
    return made


def widened(packed: np.ndarray) -> np.ndarray:
    """Panels of any type as float32 [outputs / LANES, inputs, LANES]: the weights that the kernels compute with."""
    if packed.dtype == np.uint16:
        return packed.view(ml_dtypes.bfloat16).astype(np.float32)
    if packed.dtype != np.int8:
        return packed.astype(np.float32)
    parts = []
    for block in range(0, packed.shape[1], SCALED + SCALE_ROWS):
        rows = packed[:, block : block + SCALED + SCALE_ROWS]
        scale = np.ascontiguousarray(rows[:, :SCALE_ROWS]).reshape(len(rows), 1, -1).view(np.float32)
        parts.append(rows[:, SCALE_ROWS:] * scale)
    return np.concatenate(parts, 1)


def _fill(panels: np.ndarray, weight: np.ndarray) -> None:
    count, inputs, width = panels.shape
    step = max(1, BLOCK // (width * inputs))
    for first in range(0, count, step):
        rows = _stored(weight[first * width : (first + step) * width], panels.dtype)
        whole, rest = divmod(len(rows), width)
        panels[first : first + whole] = rows[: whole * width].reshape(whole, width, inputs).swapaxes(1, 2)
        if rest:
            panels[first + whole, :, :rest] = rows[whole * width :].T


def _stored(rows: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if dtype != np.uint16:
        return rows.astype(dtype, copy=False)
    if rows.dtype == ml_dtypes.bfloat16:
        return rows.view(np.uint16)
    return (np.ascontiguousarray(rows, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def _narrowest(weight: np.ndarray) -> type:
    if weight.dtype == np.float16:
        return np.float16
    if weight.dtype == ml_dtypes.bfloat16:
        return np.uint16
    step = max(1, BLOCK // weight.shape[1])
    blocks = (weight[first : first + step] for first in range(0, len(weight), step))
    # the lower halves of bfloat16 numbers are 0; of other numbers one that is not is found in the first block
    exact = all(
        not (np.ascontiguousarray(part, np.float32).view(np.uint32) & 0xFFFF).any() for part in blocks
    )
    return np.uint16 if exact else np.float32
