"""A conversion compares checksums with the bytes that it copies: it reads them once, and notices each that changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from convert_parts import make_model
from hypothesis import given
from hypothesis import strategies as st

from distillery import checksums, digests
from distillery.convert import convert, states, stored_bytes
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import Source, open_hf, open_mcore
from distillery.fetch import model_directory
from distillery.problems import Problem

BF16 = states.of("bf16")


@pytest.fixture
def hf(tmp_path) -> Path:
    """A model as fetching leaves it."""
    folder = make_model(tmp_path / "hf")
    model_directory.write_manifest(folder, {"kind": "test"}, revision=None)
    return folder


def read_again(monkeypatch) -> list[int]:
    """Bytes of the spans of files that are read for their checksums alone, from now on."""
    found: list[int] = []
    plain = checksums.of_file

    def counted(path: Path, offset: int, size: int) -> int:
        found.append(size)
        return plain(path, offset, size)

    monkeypatch.setattr(checksums, "of_file", counted)
    return found


def sources(tmp_path: Path, hf: Path) -> dict[str, tuple[Path, Source]]:
    convert.to_mcore(open_hf(hf), Layout(2, 1), BF16, tmp_path / "mg", facts={})
    return {"hf": (hf, open_hf(hf)), "mcore": (tmp_path / "mg", open_mcore(tmp_path / "mg"))}


def converted(directory: Path, source: Source, hf: Path, out: Path) -> None:
    checks = stored_bytes.of_source(directory, source)
    if source.grid is None:
        convert.to_mcore(source, Layout(), BF16, out, facts={}, checks=checks)
    else:
        convert.to_hf(source, hf, BF16, out, facts={}, checks=checks)


@pytest.mark.parametrize("kind", ["hf", "mcore"])
def test_weights_are_read_once(tmp_path, monkeypatch, hf, kind):
    directory, source = sources(tmp_path, hf)[kind]
    again = read_again(monkeypatch)
    monkeypatch.setattr(
        stored_bytes,
        "sha256",
        lambda path: pytest.fail(f"{path} is hashed") if "safe" in path.name else digests.files.sha256(path),
    )
    converted(directory, source, hf, tmp_path / "out")
    header = next(iter(source.blocks.values()))[0].stored.offset if kind == "hf" else 0
    # and what each rank has a copy of: norms
    assert sum(again) - header <= sum(block.stored.bytes for held in source.copies.values() for block in held)


@pytest.mark.faults
@pytest.mark.parametrize("kind", ["hf", "mcore"])
def test_a_bit_of_any_tensor_is_noticed(tmp_path, hf, kind):
    directory, source = sources(tmp_path, hf)[kind]
    for blocks in (*source.blocks.values(), *source.copies.values()):
        for block in blocks:
            stored = block.stored
            data = bytearray(stored.path.read_bytes())
            data[stored.offset + stored.bytes // 2] ^= 1
            kept = stored.path.read_bytes()
            stored.path.write_bytes(data)
            with pytest.raises(Problem, match="bytes changed since the file was written"):
                converted(directory, source, hf, tmp_path / "out")
            assert not (tmp_path / "out" / digests.MANIFEST).exists()
            stored.path.write_bytes(kept)
    converted(directory, source, hf, tmp_path / "out")


@pytest.mark.faults
def test_a_fetched_header_is_compared(hf):
    """What its tensors' checksums do not show: another type of as many bytes."""
    path = hf / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b"BF16", b"F16 ", 1).replace(b'"F16 "', b'"F16" ', 1))
    with pytest.raises(Problem, match="its header"):
        stored_bytes.of_manifest(hf).run()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=12), st.randoms())
def test_pieces_read_in_any_order_have_the_checksum_of_the_whole(sizes, random):
    data = random.randbytes(sum(sizes))
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    pieces = list(zip(starts, sizes, strict=True))
    random.shuffle(pieces)
    seen, path = checksums.Seen(), Path("a")
    for start, size in pieces[1:]:
        seen.add(path, 7, 7 + start, memoryview(data[start : start + size]))
    assert seen.crc(path, 7, len(data)) is None  # one is missing
    start, size = pieces[0]
    seen.add(path, 7, 7 + start, memoryview(data[start : start + size]))
    assert seen.crc(path, 7, len(data)) == checksums.crc32(data)
    assert seen.crc(Path("b"), 7, len(data)) is None


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=12))
def test_pieces_read_twice_or_over_one_another_never_make_a_wrong_checksum(reads):
    """As two ranks read an embedding that both hold, each in its own time."""
    seen, path, data = checksums.Seen(), Path("a"), b"abcdefgh"
    for start, size in reads:
        if piece := data[start : start + size]:
            seen.add(path, 0, start, memoryview(piece))
    for first in range(len(data)):
        for end in range(first + 1, len(data) + 1):
            assert seen.crc(path, first, end - first) in (None, checksums.crc32(data[first:end]))
