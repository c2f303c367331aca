"""What is known of a model before it is fetched: its config.json and its tokenizer's special tokens.

architectures.json records them with their source. After fetching, `mismatches` compares the two: what a
plan was made with and what came must be the same.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distillery import json_files, model_config
from distillery.architecture import Architecture
from distillery.experiment import Rope, Source
from distillery.fetch import rope_override, tiny_model, tiny_tokenizer

KNOWN = Path(__file__).with_name("architectures.json")


@dataclass(frozen=True)
class Tokenizer:
    """What is recorded of a tokenizer.

    Its special tokens with their ids, its length, and its chat template's default system prompt, None where that is
    not recorded.
    """

    eos: str | None
    bos: str | None
    length: int
    tokens: Mapping[str, int]
    system: str | None


@dataclass(frozen=True)
class Known:
    """A model before it is here. `name` is its repository, its folder, or `random` for one made from a seed.

    `tokenizer` is None where only config.json is known: its files are large, and plan_sources looks at them.
    """

    name: str
    config: Mapping[str, Any]
    architecture: Architecture
    tokenizer: Tokenizer | None


def of(source: Source) -> Known | None:
    """The facts of a model source, None for models that architectures.json does not know and that are not here.

    Raises:
        Problem: sizes of a random model that do not fit together, or a config.json that cannot be used.
    """
    if source.kind == "random":
        return _random(source.settings)
    if source.kind == "path":
        return read(Path(source.settings["path"]))
    return known(recorded_name(origin(source)))


def origin(source: Source) -> str:
    """What a source says of where its model comes from: a repository or a GGUF file; "" for others."""
    return source.settings.get("repo" if source.kind == "hub" else "files") or ""


def recorded_name(origin: str) -> str:
    """The repository under which an origin is recorded: a GGUF file's by the beginning of its name; else itself."""
    if not origin.endswith(".gguf"):
        return origin
    stem = origin.rpartition("/")[2]
    names = [name for name in _table()["models"] if stem.startswith(name.rpartition("/")[2])]
    return max(names, key=len, default=origin)


def read(directory: Path) -> Known | None:
    """What config.json of a Hugging Face directory says; None where there is none.

    Raises:
        Problem: no JSON, or a model that the engine has no decoder for.
    """
    path = directory / "config.json"
    if not path.is_file():
        return None
    config = json_files.read(path)
    return Known(directory.name, config, model_config.from_config(config, path), None)


def rotated(one: Known, rope: Rope) -> Known:
    """The same model once it was trained with these rotary settings."""
    if not rope.settings:
        return one
    config = rope_override.changed(
        dict(one.config),
        rotary_base=rope.rotary_base,
        max_position_embeddings=rope.max_position_embeddings,
    )
    return replace(one, config=config, architecture=model_config.from_config(config, one.name))


@functools.cache
def known(repo: str) -> Known | None:
    """The recorded facts of a hub repository."""
    table = _table()
    entry = table["models"].get(repo)
    if entry is None:
        return None
    config, name = entry["config"], entry.get("tokenizer")
    tokenizer = Tokenizer(**table["tokenizers"][name]) if name else None
    return Known(repo, config, model_config.from_config(config, repo), tokenizer)


def repositories() -> tuple[str, ...]:
    """Hub repositories whose facts are recorded."""
    return tuple(_table()["models"])


def mismatches(origin: str, config: Mapping[str, Any]) -> list[str]:
    """`key: found, recorded` for each recorded value of config.json that a fetched one contradicts."""
    recorded = dict(_table()["models"].get(recorded_name(origin), {"config": {}})["config"])
    if origin.endswith(".gguf"):
        recorded.pop("torch_dtype", None)  # its weights are dequantised to fp32
    # transformers 5 writes some keys under other names
    renamed = {"torch_dtype": "dtype"}
    rope = config.get("rope_parameters") or {}
    return [
        f"{key}: found {found!r}, recorded {value!r}"
        for key, value in recorded.items()
        for found in [config.get(key, config.get(renamed.get(key, key), rope.get(key)))]
        if found != value and not (key == "rope_scaling" and rope)
    ]


def tokenizer_mismatches(
    origin: str, found: Mapping[str, Any], ids: Callable[[str], int | None]
) -> list[str]:
    """`what: found, recorded` for what is recorded of a tokenizer and a fetched one contradicts.

    Args:
        found: its `eos` and `bos` tokens and its `length`, as it was fetched.
        ids: the id of a token, None for one that it does not have.
    """
    one = known(recorded_name(origin))
    if one is None or one.tokenizer is None:
        return []
    pairs = {key: (found[key], getattr(one.tokenizer, key)) for key in ("eos", "bos", "length")}
    pairs |= {token: (ids(token), number) for token, number in one.tokenizer.tokens.items()}
    return [
        f"{what}: found {here!r}, recorded {held!r}" for what, (here, held) in pairs.items() if here != held
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
        model_config.from_config(config),
        Tokenizer(eos=eos, bos=None, length=size, tokens=ids, system=None),
    )
