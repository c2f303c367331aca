"""The choice of a kernel set: composed ops anywhere, native C++ on a CPU with a compiler, fused ops on Ascend.

Native kernels are compared with composed ones on small random inputs, forward and backward, before they are trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from distillery import provenance
from distillery.marks import IGNORED
from distillery.problems import Problem

TOLERANCE = 2e-5  # relative L2; float32 sums in another order differ by about 5e-7

# name, arguments of the Cell, shapes of the float inputs that get a gradient
CASES: list[tuple[str, tuple, list[tuple[int, ...]]]] = [
    ("RmsNorm", (1e-6,), [(7, 24), (24,)]),
    ("SwiGlu", (), [(5, 38)]),
    ("CrossEntropy", (), [(6, 21)]),
    ("Attention", (2, 2, 24), [(2, 70, 192)]),
    ("Attention", (1, 1, 10), [(1, 17, 30)]),
]


def choose(device: str, wanted: str = "auto") -> ModuleType:
    """The module with RmsNorm, SwiGlu, Attention, CrossEntropy, GradientNorm and AdamW to use.

    Args:
        device: CPU or Ascend.
        wanted: auto, native or composed. `auto` falls back to composed ops and says why.

    Raises:
        Problem: native kernels are asked for and cannot be built, or are wrong on this machine.
    """
    if device == "Ascend":
        from distillery.engine import fused

        return fused
    from distillery.engine import composed

    if wanted == "composed":
        return composed
    from distillery.engine import compiling

    if not compiling.usable(compiling.SOURCE, wanted):
        return composed
    from distillery.engine import native

    seen = mark(compiling.library(compiling.SOURCE))
    if not seen.exists():
        check(native, composed)
        seen.touch()
    return native


def mark(library: Path) -> Path:
    """The file that says that this machine has checked a native library.

    There is one for each version of the library, of its oracle and of MindSpore, which calls both.
    """
    names = [f"distillery.engine.{name}" for name in ("kernels", "native", "composed")]
    versions = [provenance.code(*names), metadata.version("mindspore")]
    return library.with_suffix(f".{provenance.digest(versions)[:16]}.checked")


def check(kernels: ModuleType, oracle: ModuleType) -> None:
    """Hold kernels against those of an oracle, forwards and backwards.

    Raises:
        Problem: a kernel's output or gradient differs from the oracle's by more than TOLERANCE.
    """
    for name, options, shapes in CASES:
        wanted = outcome(getattr(oracle, name)(*options), name, options, shapes)
        found = outcome(getattr(kernels, name)(*options), name, options, shapes)
        for i, (w, f) in enumerate(zip(wanted, found, strict=True)):
            error = float(np.linalg.norm(w - f) / np.linalg.norm(w))
            if not error < TOLERANCE:
                raise Problem(
                    "a native kernel is wrong on this machine",
                    where=f"{name}{options}, {'output' if i == 0 else f'gradient {i}'}",
                    found=f"relative difference {error:.1e}",
                    wanted=f"below {TOLERANCE:.0e}",
                    fix="use --kernels composed, and report the CPU and compiler",
                )


def outcome(cell: nn.Cell, name: str, options: tuple, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """[output, gradient of each float input] of a kernel under a random, fixed cotangent."""
    random = np.random.RandomState(0)
    inputs = [Tensor(random.randn(*shape).astype(np.float32)) for shape in shapes]
    fixed = _fixed_inputs(name, options, shapes[0], random)

    def weighed(cotangent: Tensor) -> Callable[..., Tensor]:
        def function(*arguments):
            return (cell(*arguments) * cotangent).sum()

        return function

    output = cell(*inputs, *fixed)
    cotangent = Tensor(random.randn(*output.shape).astype(np.float32))
    gradients = ms.grad(weighed(cotangent), tuple(range(len(inputs))))(*inputs, *fixed)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [array.asnumpy() for array in (output, *gradients)]


def _fixed_inputs(
    name: str, options: tuple, shape: tuple[int, ...], random: np.random.RandomState
) -> list[Tensor]:
    """Inputs without a gradient: labels, or angles and segments."""
    if name == "CrossEntropy":
        labels = random.randint(0, shape[1], shape[0]).astype(np.int32)
        labels[::3] = IGNORED
        return [Tensor(labels)]
    if name == "Attention":
        angles = random.randn(*shape[:2], options[2] // 2)
        segments = np.sort(random.randint(0, 3, shape[:2]), axis=1).astype(np.int32)
        cosine, sine = (Tensor(f(angles).astype(np.float32)) for f in (np.cos, np.sin))
        return [cosine, sine, Tensor(segments)]
    return []
