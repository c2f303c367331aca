"""A vocabulary of 7 MB is read once by a process of tests, and not by each test: that takes a second of CPU."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import pytest
import tokenizers
from gigatoken import gigatoken_rs

from distillery.tokenize import tokenizer

LARGE = 1 << 20  # bytes
_read: dict[bytes, tuple[tokenizers.Tokenizer, str]] = {}
_parsed = tokenizer._parsed
_load_once = lru_cache(maxsize=1)(gigatoken_rs.load_hf_json)


def _added(backend: tokenizers.Tokenizer) -> str:
    """What `add_tokens` and `add_special_tokens` change; nothing else of a backend is ever changed."""
    return repr(sorted(backend.get_added_tokens_decoder().items()))


def _parsed_once(content: bytes) -> tokenizers.Tokenizer:
    """A large tokenizer.json's backend, once more where nobody has added a token to it."""
    backend, before = _read.get(content, (None, ""))
    if backend is None or _added(backend) != before:
        backend = _parsed(content)
        if len(content) > LARGE:
            _read[content] = backend, _added(backend)
    return backend


@pytest.fixture(scope="package", autouse=True)
def read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "_parsed", _parsed_once)
        patch.setattr(gigatoken_rs, "load_hf_json", _load_once)
        yield
