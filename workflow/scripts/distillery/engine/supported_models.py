"""Which Hugging Face models the built-in decoder computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import architecture
from distillery.architecture import Architecture
from distillery.problems import Problem

# key of config.json: the one value that the decoder computes
FEATURES = {"hidden_act": "silu", "mlp_bias": False, "use_sliding_window": False}


def read(directory: Path) -> Architecture:
    """The architecture of a Hugging Face model directory.

    Raises:
        Problem: what architecture.read raises; a feature that the decoder lacks (biases on o_proj or the MLP, sliding
            windows, another activation). Kinds of RoPE scaling are refused by rope.inverse_frequencies.
    """
    return architecture.read(directory, _refuse)


def from_config(config: Mapping[str, Any], where: object = "config.json") -> Architecture:
    """As `read`, from the parsed config.json."""
    return architecture.from_config(config, where, _refuse)


def _refuse(config: Mapping[str, Any], where: object) -> None:
    for key, wanted in FEATURES.items():
        if config.get(key, wanted) != wanted:
            raise Problem(
                "the decoder does not have this feature",
                where=f"{where}, {key}",
                found=config[key],
                wanted=wanted,
                fix="use the mindspeed-llm engine for this model",
            )
    if config["model_type"] == "llama" and config.get("attention_bias", False):
        raise Problem(
            "a Llama model with attention biases also has one on o_proj, which the MCore names lack",
            where=f"{where}, attention_bias",
            found=True,
            wanted=False,
            fix="use the mindspeed-llm engine for this model",
        )
