"""Ranges of flags: argparse types that say what they would take."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            until = "" if most == math.inf else f" to {most}"
            raise argparse.ArgumentTypeError(f"found {text!r}, wanted a whole number from {least}{until}")
        return value

    return read


def number(below: float = math.inf) -> Callable[[str], float]:
    """A reader of numbers from 0 to less than `below`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not 0 <= value < below:  # true of nan
            until = "finite" if below == math.inf else f"less than {below:g}"
            raise argparse.ArgumentTypeError(f"found {text!r}, wanted a number from 0, {until}")
        return value

    return read


def stages(text: str) -> list[int]:
    """`3,4` as [3, 4]: layers of each pipeline stage.

    Raises:
        argparse.ArgumentTypeError: not whole numbers, or a stage without a layer.
    """
    return [whole(1)(part) for part in text.split(",")]
