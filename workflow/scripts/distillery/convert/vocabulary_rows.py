"""The one thing a conversion asks of a tokenizer: that the model has an embedding row for every token."""

from __future__ import annotations

import json
import mmap
import re
from pathlib import Path

from distillery.problems import Problem

# one entry of "vocab": a JSON string, a colon, an id
_ENTRY = re.compile(rb'\s*"(?:[^"\\]|\\.)*"\s*:\s*(\d+)\s*,?')
_MODEL = re.compile(rb'"model"\s*:\s*\{')
_VOCAB = re.compile(rb'"vocab"\s*:\s*\{')


def check(path: Path, rows: int) -> str:
    """One line that says what was checked of --tokenizer-model.

    Args:
        path: tokenizer.json, its directory, or a SentencePiece tokenizer.model (only its existence is checked).
        rows: vocab_size of the model.

    Raises:
        Problem: there is no such file, or it has a token that the embedding has no row for.
    """
    if path.is_dir():
        path = path / "tokenizer.json"
    if not path.is_file():
        raise Problem(
            "there is no such tokenizer file",
            where=f"--tokenizer-model {path}",
            fix="give the tokenizer.json of the model; conversion only checks that its vocabulary fits",
        )
    if path.suffix != ".json":
        return f"tokenizer {path.name} exists; only a tokenizer.json can be compared with the embedding"
    largest = _largest_id(path)
    if largest >= rows:
        raise Problem(
            "the tokenizer has tokens that the model has no embedding for",
            where=path,
            found=f"id {largest}",
            wanted=f"ids below {rows} (vocab_size of the model)",
            fix="give the tokenizer.json that belongs to these weights",
        )
    return f"tokenizer ids up to {largest} fit the embedding of {rows} rows"


def _largest_id(path: Path) -> int:
    """The largest token id of a tokenizer.json, without parsing 150 000 entries into memory at once."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as text:
        model = _MODEL.search(text)
        vocab = _VOCAB.search(text, model.end()) if model else None
        if model is None or vocab is None:  # e.g. Unigram: its vocabulary is a list
            whole = json.loads(text[:])
            added = [token["id"] for token in whole.get("added_tokens") or []]
            return max([len(whole["model"]["vocab"]) - 1, *added])
        head = json.loads(text[: model.start()] + b'"_":0}')
        largest = max((token["id"] for token in head.get("added_tokens") or []), default=-1)
        position = vocab.end()
        while entry := _ENTRY.match(text, position):
            largest, position = max(largest, int(entry[1])), entry.end()
        return largest
