"""The C++ kernels touch no memory but their own, whatever ids the data holds: built with sanitizers, called without MindSpore."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import SUPPORT

from distillery.engine import compiling

pytestmark = [pytest.mark.slow, pytest.mark.whole]

WORKER = SUPPORT / "kernel_calls.py"
SANITIZERS = [
    "-O1",
    "-g1",  # reports name lines all the same
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
]


def built(folder: Path, source: Path) -> Path:
    target = folder / f"{source.stem}.so"
    flags = [flag for flag in compiling.FLAGS if flag != "-O3"]
    subprocess.run([compiling.compiler(), *flags, *SANITIZERS, "-o", target, source], check=True)
    return target


def called(libraries: list[Path]) -> subprocess.CompletedProcess[str]:
    """The kernels called under the sanitizers' own allocator."""
    runtimes = [
        subprocess.run(
            [compiling.compiler(), f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so", "libstdc++.so")
    ]
    environment = {
        **os.environ,
        "LD_PRELOAD": ":".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter's own
        "OMP_NUM_THREADS": "2",
    }
    return subprocess.run(
        [sys.executable, WORKER, *libraries], env=environment, capture_output=True, text=True, check=False
    )


def test_kernels_touch_no_memory_but_their_own(tmp_path):
    answer = called([built(tmp_path, compiling.SOURCE), built(tmp_path, compiling.DECODING)])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert int(answer.stdout.split()[0]) > 150


def test_the_sanitizer_sees_a_label_that_is_not_held_back(tmp_path):
    """The test above can fail: without the bound a label leads out of the row of logits."""
    text = compiling.SOURCE.read_text(encoding="utf-8")
    bound = "if (I(1)[t] < 0 || I(1)[t] >= n) {"
    assert text.count(bound) == 1
    source = tmp_path / "native.cpp"
    source.write_text(text.replace(bound, "if (false) {"), encoding="utf-8")
    (tmp_path / "vectors.h").write_bytes(compiling.SOURCE.with_name("vectors.h").read_bytes())
    answer = called([built(tmp_path, source)])  # it ends before it would come to the other
    assert answer.returncode != 0
    assert "AddressSanitizer" in answer.stderr
