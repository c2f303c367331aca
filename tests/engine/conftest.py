"""Kernels for other vectors than this CPU's widest, which several tests of the engine compute with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from shared import once

from distillery.engine import compiling


@pytest.fixture
def narrower(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Kernels are compiled with these flags for -march=native; the cache that they are built in, once a session."""
    flags = request.param
    cache = once(tmp_path_factory, "kernels " + " ".join(flags), lambda folder: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(compiling, "FLAGS", [f for f in compiling.FLAGS if f != "-march=native"] + flags)
    compiling.library.cache_clear()
    yield cache
    compiling.library.cache_clear()
