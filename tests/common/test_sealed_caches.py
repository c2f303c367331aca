"""Caches that were damaged are made anew: kernels, and what is remembered of code. Graphs: test_generate_graphs.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distillery import digests, provenance
from distillery.engine import compiling

DAMAGES = {
    "flip": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "cut": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "swap": lambda data: b'{"": "0"}',
}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory) -> tuple[Path, Path]:
    """(a source, the cache with its library)."""
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "one.cpp").write_text('extern "C" int one() { return 1; }\n')
    return folder / "one.cpp", folder / "cache"


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("part", ["library", "digest"])
def test_a_damaged_kernel_is_built_anew(kernels, monkeypatch, damage, part):
    source, cache = kernels
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    build = compiling.library.__wrapped__
    library = build(source)
    whole = library.read_bytes()
    before = library.stat().st_mtime_ns
    assert build(source) == library and library.stat().st_mtime_ns == before
    place = library if part == "library" else digests.beside(library)
    place.write_bytes(DAMAGES[damage](place.read_bytes()))
    assert build(source) == library and library.read_bytes() == whole
    # loaded elsewhere: the next case writes into the file
    load = f"import ctypes; print(ctypes.CDLL({str(library)!r}).one())"
    assert subprocess.check_output([sys.executable, "-c", load], text=True) == "1\n"


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_remembered_of_code_is_checked(tmp_path, monkeypatch, damage):
    def fresh() -> str:
        for cached in (provenance._memory, provenance._written, provenance._parsed):
            cached.cache_clear()
        return provenance.code("fetch_digest")

    monkeypatch.setattr(provenance, "MEMORY", tmp_path / "code.json")
    truth = fresh()
    place = tmp_path / "code.json"
    whole = place.read_bytes()
    place.write_bytes(DAMAGES[damage](whole))
    assert fresh() == truth and place.read_bytes() == whole
    # a digest in it that was changed
    first = sorted(provenance._memory().values())[0][0]
    place.write_bytes(whole.replace(first.encode(), first[::-1].encode()))
    assert fresh() == truth and place.read_bytes() == whole
    provenance._memory.cache_clear()
