"""Exact ids, fast: gigatoken where it is proven equal to `tokenizers`, `tokenizers` everywhere else.

Why the fast route is exact. Both libraries run the same BPE; they can differ only in Unicode tables of another
age: the NFC normalizer's and those behind \\p{L}, \\p{N} and \\s of the split pattern. A text takes the fast route
only if each of its characters is SAFE: assigned, unchanged by NFC, not a combining mark (nor a Hangul jamo),
so that the whole text is a fixed point of NFC in every version of Unicode, and in the ranges whose every
character was compared in all three contexts that the pattern tells apart (tests/tokenize/test_tokenize_encoding.py does it).
The fast route is taken only for pipelines that were verified so (VERIFIED), and of one row in
CROSS_CHECK_EVERY a piece is encoded by both libraries anyway: a difference stops the run.
"""

from __future__ import annotations

import functools
import json
import mmap
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from distillery.problems import Problem
from distillery.provenance import digest
from distillery.tokenize.tokenizer import HubTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

# 8 characters a row, of some 15,000: `tokenizers` takes a hundred times as long as the fast route
CROSS_CHECK_EVERY, CROSS_CHECKED = 128, 1024  # rows; characters
# see `pipeline_digest`
VERIFIED = {"b4dbccf4c1193df0": "Qwen2 and Qwen2.5"}
MODEL_OPTIONS = (
    "dropout",
    "unk_token",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "fuse_unk",
    "byte_fallback",
    "ignore_merges",
)
# first code point, past-the-end: the ranges that were compared
COMPARED = ((0x0, 0xD800), (0xE000, 0x10000), (0x1D400, 0x1D800), (0x1F300, 0x1FB00))
JAMO = range(0x1100, 0x1200)
ASCII = bytes(range(0x80))
CACHED_LENGTH = 256
# 4 to 12 bytes are remembered for each byte of new words; loading anew costs 0.3 s, and common words come back at once
MOST_GROWTH = 64 << 20  # bytes
LOOK_EVERY = 1 << 20  # bytes


class Encoder:
    """Text to int32 ids. `fast` says whether the fast route is open, `why` says why not."""

    def __init__(self, tokenizer: HubTokenizer, exact_only: bool = False) -> None:
        self.tokenizer = tokenizer
        self._fast: Callable[[bytes], np.ndarray] | None = None
        self.why = "asked for" if exact_only else _obstacle(tokenizer)
        if not self.why:
            self._fast = Gigatoken(tokenizer.directory / "tokenizer.json")
        # system prompts, separators and headings come again with every row
        self._cached = functools.lru_cache(maxsize=1024)(self._encode)

    @property
    def fast(self) -> bool:
        return self._fast is not None

    def encode(self, text: str) -> np.ndarray:
        """Ids [tokens] as int32, without bos or eos. The array may be shared: do not write into it."""
        return self._cached(text) if len(text) <= CACHED_LENGTH else self._encode(text)

    def _encode(self, text: str) -> np.ndarray:
        if self._fast is not None and (content := safe_bytes(text)) is not None:
            return self._fast(content).view(np.int32)
        return self.exact(text)

    def exact(self, text: str) -> np.ndarray:
        """The same by `tokenizers`."""
        return np.array(self.tokenizer.encode(text), dtype=np.int32)

    def cross_check(self, text: str, number: int) -> None:
        """Encode a piece of `text` by both routes, if its row's number is one to be checked.

        From one checked row to the next the piece moves on by its length, so that a text's end is reached as its beginning is.

        Raises:
            Problem: they differ.
        """
        turn, rest = divmod(number, CROSS_CHECK_EVERY)
        if rest or self._fast is None:
            return
        begin = turn * CROSS_CHECKED % max(len(text), 1)
        text = text[begin : begin + CROSS_CHECKED]
        ours, reference = self._encode(text), self.exact(text)
        if not np.array_equal(ours, reference):
            first = int(np.argmax(ours[: len(reference)] != reference[: len(ours)]))
            raise Problem(
                "the fast encoder and `tokenizers` disagree",
                where=f"token {first} of a text beginning {text[:60]!r}",
                found=ours[first : first + 8].tolist(),
                wanted=reference[first : first + 8].tolist(),
                fix="run again with --encoder exact, and report the text",
            )


class Gigatoken:
    """The fast encoder. It remembers each word that it ever met; here that memory is dropped when it has grown much."""

    def __init__(self, path: Path) -> None:
        self.tokenizer = path.read_bytes()  # what is loaded again must be the same
        self._load()

    def __call__(self, content: bytes) -> np.ndarray:
        """Ids [tokens] as uint32 of a text in UTF-8."""
        self.left -= len(content)
        if self.left < 0:
            self.left = LOOK_EVERY
            if _resident() > self.born + MOST_GROWTH:
                self._load()
        return self.loaded.encode(content)

    def _load(self) -> None:
        from gigatoken.gigatoken_rs import load_hf_json

        self.loaded = None  # before there is another
        self.loaded = load_hf_json(self.tokenizer)
        self.born, self.left = _resident(), LOOK_EVERY


def _resident() -> int:
    """Memory of this process [bytes]."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def pipeline_digest(tokenizer: HubTokenizer) -> str:
    """Digest of what a tokenizer does to text before and besides its vocabulary and merges.

    Options that are off are left out, so that files of different library versions agree, and so are those that only
    move offsets. Asked of the loaded tokenizer: parsing its 7 MB once more would cost 0.1 s.
    """
    backend = tokenizer.backend
    steps = [
        json.loads(step.__getstate__()) if step is not None else None
        for step in (backend.normalizer, backend.pre_tokenizer)
    ]
    model = {"type": type(backend.model).__name__} | {
        key: getattr(backend.model, key, None) for key in MODEL_OPTIONS
    }
    flags = sorted(set(tokenizer.added_tokens().values()))
    return digest(_switched_on([*steps, model, flags]))[:16]


def _switched_on(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _switched_on(each) for key, each in value.items() if each and key != "trim_offsets"}
    return [_switched_on(each) for each in value] if isinstance(value, list) else value


def _obstacle(tokenizer: HubTokenizer) -> str:
    try:
        import gigatoken.gigatoken_rs  # noqa: F401
    except ImportError:
        return "gigatoken is not installed here"
    added = tokenizer.added_tokens().items() - tokenizer.file_tokens.items()  # gigatoken reads the file alone
    if added:
        return f"tokens that tokenizer.json does not list: {' '.join(sorted(text for text, _ in added))}"
    found = pipeline_digest(tokenizer)
    return "" if found in VERIFIED else f"gigatoken was not verified on this kind of tokenizer ({found})"


def safe_bytes(text: str) -> bytes | None:
    """The text in UTF-8 if every character is one on which both libraries are known to agree."""
    try:
        content = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    # UTF-8 writes every character but ASCII's, which are most of a text, with bytes of its own
    others = content.translate(None, delete=ASCII).decode()
    return content if all(map(_is_safe_character, set(others))) else None


@functools.cache
def _is_safe_character(character: str) -> bool:
    point = ord(character)
    return (
        any(first <= point < end for first, end in COMPARED)
        and unicodedata.category(character) not in ("Cn", "Cs", "Mn", "Mc", "Me")
        and point not in JAMO
        and unicodedata.is_normalized("NFC", character)
    )
