"""GGUF files whose numbers promise more than their bytes hold: refused within bounds."""

from __future__ import annotations

import struct
from pathlib import Path

import measured
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.fetch import gguf_model
from distillery.problems import Problem

UINT8, UINT32, STRING, ARRAY = 0, 4, 8, 9  # GGUFValueType


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(fields: dict[str, bytes], tensors: int = 0, more: bytes = b"") -> bytes:
    """Version 3; a field's bytes begin with its type."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(fields))
    return head + b"".join(text(key) + value for key, value in fields.items()) + more


LLAMA = {"general.architecture": struct.pack("<I", STRING) + text("llama")}
FILES = {
    "an array of 2^60": gguf(LLAMA | {"a": struct.pack("<IIQ", ARRAY, UINT8, 1 << 60)}),
    "arrays in arrays": gguf({"a": struct.pack("<I", ARRAY) + struct.pack("<IQ", ARRAY, 1) * 5000}),
    "2^60 tensors": gguf(LLAMA, 1 << 60),
    "2^60 fields": b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60),
    "a text of 2^60 bytes": gguf({"a": struct.pack("<IQ", STRING, 1 << 60)}),
}


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("name", FILES)
def test_lengths_are_held_against_the_file(tmp_path, name):
    path = tmp_path / "a.gguf"
    path.write_bytes(FILES[name])
    measured.refused(
        len(FILES[name]), "-c", measured.AS_COMMAND, "distillery.fetch.gguf_model", "open_file", path
    )


def test_a_text_that_is_no_utf8_is_refused_by_its_key(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf(LLAMA).replace(b"llama", b"\x80lama"))
    reader = gguf_model.open_file(path)
    with pytest.raises(Problem, match=r"(?s)general\.architecture.*0x80.*UTF-8"):
        gguf_model.config(reader)


def test_more_layers_than_tensors_are_refused(tmp_path):
    numbers = ("attention.head_count", "embedding_length", "feed_forward_length", "context_length")
    fields = LLAMA | {f"llama.{name}": struct.pack("<II", UINT32, 4) for name in numbers}
    fields |= {"llama.block_count": struct.pack("<II", UINT32, 10**9)}
    fields |= {f"tokenizer.ggml.{name}_token_id": struct.pack("<II", UINT32, 1) for name in ("bos", "eos")}
    # name, dimensions, float32, offset
    tensor = text("token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0)
    data = gguf(fields, 1, tensor)
    path = tmp_path / "a.gguf"
    path.write_bytes(data + bytes(-len(data) % 32) + bytes(32))
    with pytest.raises(Problem, match="(?s)block_count.*1000000000.*1 to 1"):
        gguf_model.config(gguf_model.open_file(path))


@settings(max_examples=200)
@given(at=st.integers(0, 200), value=st.binary(min_size=1, max_size=9))
def test_any_bytes_are_a_header_or_a_problem(tmp_path_factory, at, value):
    whole = gguf(
        LLAMA | {"a": struct.pack("<IIQ", ARRAY, UINT8, 3) + b"abc"}, 1, text("x") + bytes(32)
    ) + bytes(64)
    path: Path = tmp_path_factory.getbasetemp() / "any.gguf"
    path.write_bytes(whole[:at] + value + whole[at + len(value) :])
    try:
        gguf_model.config(gguf_model.open_file(path))
    except Problem:
        return
