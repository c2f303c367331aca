"""The rotary settings of a config.json, under either of their names."""

from __future__ import annotations

import math

from distillery.json_files import Record
from distillery.problems import Problem

LENGTHS = ("rope_theta", "original_max_position_embeddings")  # of the rotary settings, beside the factors


def read(config: Record) -> Record:
    """The rotary settings, under either name; each number among them positive and finite.

    Raises:
        Problem: settings a kind of layer each, or a value that is no such number.
    """
    found = Record(config.typed("rope_scaling", dict, {}) or config.typed("rope_parameters", dict, {}))
    found.at(f"{config.where}, {'rope_scaling' if config.get('rope_scaling') else 'rope_parameters'}")
    for key, value in found.items():
        if isinstance(value, dict):
            raise Problem(
                "rotary settings of their own for a kind of layer",
                where=f"{found.where}, {key}",
                found=value,
                wanted="one set of numbers for all layers",
                fix="choose a model whose layers all attend alike",
            )
        if (
            ("factor" in key or key in LENGTHS)
            and isinstance(value, int | float)
            and not 0 < value < math.inf
        ):
            raise Problem(
                "a rotary setting that is no sensible number",
                where=f"{found.where}, {key}",
                found=value,
                wanted="above 0, and finite",
                fix="fetch config.json again",
            )
    return found
