"""Weights as generation's kernels (decoding.cpp) read them: panels of 32 outputs, in the narrowest type that loses nothing.

A bfloat16 or float16 matrix stays what it is, 2 bytes a weight, and so does a float32 one of bfloat16 numbers. Kernels
widen them as they read, which is exact: products and sums are those of a float32 copy, at half of what a step reads.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

LANES = 32  # outputs of a panel, as in decoding.cpp
BLOCK = 1 << 20  # elements that are looked at together: what is held of a matrix beside its panels


def pack(weight: np.ndarray) -> np.ndarray:
    """[outputs, inputs] -> panels [outputs / LANES, inputs, LANES], zeros in the last one's free lanes.

    Returns:
        float32, float16, or uint16: bfloat16 numbers, which MindSpore's kernels of one's own are not given as such.
    """
    outputs, inputs = weight.shape
    panels = np.zeros((-(-outputs // LANES), inputs, LANES), _narrowest(weight))
    _fill(panels, weight)
    return panels


def pack_gated(fc1: np.ndarray) -> np.ndarray:
    """As `pack`, of rows gate | up: a panel holds LANES/2 gates, then their LANES/2 ups."""
    half, ffn = LANES // 2, fc1.shape[0] // 2
    panels = np.zeros((-(-ffn // half), fc1.shape[1], LANES), _narrowest(fc1))
    _fill(panels[:, :, :half], fc1[:ffn])
    _fill(panels[:, :, half:], fc1[ffn:])
    return panels


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
