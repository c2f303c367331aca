"""The three weight types, by the name the guide's --params-dtype gives them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from distillery.problems import Problem


@dataclass(frozen=True)
class DType:
    """One type under its names: the guide's, numpy's, torch's (config.json), safetensors' and torch storage's."""

    name: str
    numpy: np.dtype
    torch: str
    safetensors: str
    storage: str

    @property
    def itemsize(self) -> int:
        return self.numpy.itemsize


BF16 = DType("bf16", np.dtype(ml_dtypes.bfloat16), "bfloat16", "BF16", "BFloat16Storage")
FP16 = DType("fp16", np.dtype(np.float16), "float16", "F16", "HalfStorage")
FP32 = DType("fp32", np.dtype(np.float32), "float32", "F32", "FloatStorage")
ALL = (BF16, FP16, FP32)


def common(types: Collection[DType]) -> DType:
    """The narrowest type that holds every value of these: their own, or of several fp32."""
    return next(iter(types)) if len(set(types)) == 1 else FP32


def of(name: object, where: object = None) -> DType:
    """The type with this name in any of the vocabularies, or of this numpy dtype.

    Raises:
        Problem: none of the three.
    """
    if isinstance(name, DType):
        return name
    for dtype in ALL:
        if isinstance(name, np.dtype):
            if name == dtype.numpy:
                return dtype
        elif str(name) in (dtype.name, dtype.torch, dtype.safetensors, dtype.storage, f"torch.{dtype.torch}"):
            return dtype
    raise Problem(
        "weights of this type cannot be converted",
        where=where,
        found=name,
        wanted=" or ".join(f"{dtype.name} ({dtype.torch})" for dtype in ALL),
        fix="save the model unquantised in one of these types first",
    )
