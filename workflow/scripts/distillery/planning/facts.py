"""What is known of a model before it is fetched: its config.json and its tokenizer's special tokens.

architectures.json records them with their source. After fetching, `mismatches` compares the two: what a
plan was made with and what came must be the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.engine import architecture
from distillery.engine.architecture import Architecture
from distillery.experiment import Source
from distillery.hub import tiny_model, tiny_tokenizer

KNOWN = Path(__file__).with_name("architectures.json")


@dataclass(frozen=True)
class Tokenizer:
    """Special tokens of a tokenizer with their ids, its length, and its chat template's default system prompt,
    None where that is not recorded."""

    eos: str | None
    bos: str | None
    length: int
    tokens: Mapping[str, int]
    system: str | None


@dataclass(frozen=True)
class Known:
    """A model before it is here. `name` is its repository, or `random` for one made from a seed."""

    name: str
    config: Mapping[str, Any]
    architecture: Architecture
    tokenizer: Tokenizer


def of(source: Source) -> Known | None:
    """The facts of a model source, None for models that architectures.json does not know.

    Raises:
        Problem: sizes of a random model that do not fit together.
    """
    if source.kind == "random":
        return _random(source.settings)
    if source.kind == "gguf":
        stem = source.settings["member"].rpartition("/")[2]
        names = [name for name in _table()["models"] if stem.startswith(name.rpartition("/")[2])]
        return known(max(names, key=len)) if names else None
    return known(source.settings.get("repo", ""))


@functools.cache
def known(repo: str) -> Known | None:
    """The recorded facts of a hub repository."""
    table = _table()
    entry = table["models"].get(repo)
    if entry is None:
        return None
    config = entry["config"]
    return Known(
        repo,
        config,
        architecture.from_config(config, repo),
        Tokenizer(**table["tokenizers"][entry["tokenizer"]]),
    )


def mismatches(repo: str, config: Mapping[str, Any]) -> list[str]:
    """`key: found, recorded` for each recorded value of config.json that a fetched one contradicts."""
    recorded = _table()["models"].get(repo, {"config": {}})["config"]
    # transformers 5 writes some keys under other names
    renamed = {"torch_dtype": "dtype"}
    rope = config.get("rope_parameters") or {}
    return [
        f"{key}: found {found!r}, recorded {value!r}"
        for key, value in recorded.items()
        for found in [config.get(key, config.get(renamed.get(key, key), rope.get(key)))]
        if found != value and not (key == "rope_scaling" and rope)
    ]


@functools.cache
def _table() -> dict[str, Any]:
    return json.loads(KNOWN.read_text(encoding="utf-8"))


def _random(settings: Mapping[str, Any]) -> Known:
    size = settings["tokenizer"]["vocab_size"]
    special = tiny_tokenizer.SPECIAL_TOKENS
    ids = {token: size - len(special) + place for place, token in enumerate(special)}
    eos = tiny_tokenizer.END_OF_TEXT
    config = tiny_model.config(dict(settings["config"]), size, ids[eos])
    return Known(
        "random",
        config,
        architecture.from_config(config),
        Tokenizer(eos=eos, bos=None, length=size, tokens=ids, system=None),
    )
