"""The one thing a conversion asks of a tokenizer: that the model has an embedding row for every token."""

from __future__ import annotations

from pathlib import Path

from distillery import digests
from distillery.problems import Problem


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
    """The largest token id of a tokenizer.json."""
    whole = digests.read_json(path)
    added = (
        [token.typed("id", int) for token in whole.records("added_tokens")]
        if whole.get("added_tokens")
        else []
    )
    model = whole.typed("model", dict)
    if isinstance(model["vocab"], list):  # Unigram: an id is a place in it
        return max([len(model["vocab"]) - 1, *added])
    vocab = model.typed("vocab", dict)
    return max([-1, *added, *(vocab.typed(token, int) for token in vocab)])
