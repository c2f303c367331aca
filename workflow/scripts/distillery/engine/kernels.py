"""The choice of a kernel set: composed ops anywhere, native C++ on a CPU with a compiler, fused ops on Ascend."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from types import ModuleType

from distillery import provenance


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
    from distillery.engine import native, verification

    seen = mark(compiling.library(compiling.SOURCE))
    if not seen.exists():
        verification.check(native, composed)
        seen.touch()
    return native


def mark(library: Path) -> Path:
    """The file that says that this machine has checked a native library: once for each version of the library, of
    its oracle and of MindSpore, which calls both."""
    names = [f"distillery.engine.{name}" for name in ("verification", "native", "composed")]
    versions = [provenance.code(*names), metadata.version("mindspore")]
    return library.with_suffix(f".{provenance.digest(versions)[:16]}.checked")
