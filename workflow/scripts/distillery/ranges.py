"""Ranges of numbers, written as in JSON schema: held against values, put in words, and read from a command's flags.

    parser.add_argument("--log-interval", type=ranges.reader(ranges.whole(1)))
    parser.add_argument("--lr", type=ranges.reader(schema.at("experiments.*.train.lr")))

The ranges of configuration keys stand in the schema; only those of flags that are no keys are made here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any

Range = Mapping[str, Any]  # type, minimum, maximum, exclusiveMinimum, exclusiveMaximum


def whole(least: int, most: int | None = None) -> Range:
    """Whole numbers from `least` to `most`."""
    return {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})


def number(least: float = 0, below: float | None = None) -> Range:
    """Numbers from `least` to less than `below`."""
    return {"type": "number", "minimum": least} | ({} if below is None else {"exclusiveMaximum": below})


def holds(value: float, within: Range) -> bool:
    """Whether a number lies in the range; infinite ones and NaN lie in none."""
    return (
        math.isfinite(value)
        and within.get("minimum", -math.inf) <= value <= within.get("maximum", math.inf)
        and within.get("exclusiveMinimum", -math.inf) < value < within.get("exclusiveMaximum", math.inf)
    )


def words(within: Range) -> str:
    """The range in words: `a whole number from 1 to 65535`, `a number from 0, finite`."""
    is_whole = "integer" in within.get("type", "")
    text = "a whole number" if is_whole else "a number"
    least = within.get("minimum", within.get("exclusiveMinimum"))
    if least is not None:
        text += f" from {least:.15g}"
    if "maximum" in within:
        text += f" to {within['maximum']:.15g}"
    elif "exclusiveMaximum" in within:
        text += f", less than {within['exclusiveMaximum']:.15g}"
    elif not is_whole:
        text += ", finite"
    return text + (f", but not {least:.15g} itself" if "exclusiveMinimum" in within else "")


def reader(within: Range) -> Callable[[str], Any]:
    """The argparse type of a flag whose values lie in the range; it says what it would take."""
    convert = int if "integer" in within.get("type", "") else float

    def read(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not holds(value, within):
            raise argparse.ArgumentTypeError(f"found {text!r}, wanted {words(within)}")
        return value

    return read


def stages(text: str) -> list[int]:
    """`3,4` as [3, 4]: layers of each pipeline stage.

    Raises:
        argparse.ArgumentTypeError: not whole numbers, or a stage without a layer.
    """
    return [reader(whole(1))(part) for part in text.split(",")]
