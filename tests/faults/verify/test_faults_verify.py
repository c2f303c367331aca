"""`make verify` by a second run: on a disk that fills, killed amid it, of another configuration, against damaged results.

Whatever comes of it, the first run stays as it was, byte for byte.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fault_points
import pytest
from house import House

from distillery import reproduction

pytestmark = [pytest.mark.mindspore, pytest.mark.faults]
SAME = "files are byte-identical in both runs"


@pytest.fixture
def second(finished, tmp_path):
    """Starts a second run of the finished one, whose folder is in `tmp_path`; afterwards the first is what it was."""
    before = fault_points.state(finished.path)

    def start(*words: str) -> subprocess.Popen:
        line = [
            *words,
            sys.executable,
            "workflow/scripts/verify.py",
            "--configfile",
            str(finished.configfile),
        ]
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(line, cwd=finished.path, env=env, start_new_session=True, **pipes)

    yield start
    assert fault_points.state(finished.path) == before


def folders(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob(f"{reproduction.PREFIX}*"))


@pytest.mark.whole
def test_a_second_run_that_is_killed_is_begun_anew_and_leaves_nothing(second, tmp_path, monkeypatch):
    verify = second()
    while not list(tmp_path.glob(f"{reproduction.PREFIX}*/results/datasets")):
        assert verify.poll() is None, verify.communicate()
        time.sleep(0.02)
    os.kill(verify.pid, signal.SIGKILL)  # Snakemake lives, and has the folder
    (killed,) = folders(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    reproduction._remove_left()
    assert killed.exists()
    os.killpg(verify.pid, signal.SIGKILL)
    verify.communicate()
    again = second()
    said, _ = again.communicate(timeout=900)
    assert again.returncode == 0 and SAME in said, said
    assert not folders(tmp_path)


@pytest.mark.root
@pytest.mark.whole
@pytest.mark.parametrize("room", [16, 400])
def test_a_disk_that_fills_in_the_second_run_is_taught(second, tmp_path, room):
    mounted = f'mount -t tmpfs -o size={room}k none "$0" && exec "$@"'
    verify = second("unshare", "-m", "sh", "-c", mounted, str(tmp_path))
    said, _ = verify.communicate(timeout=900)
    assert verify.returncode == 1 and "the second run failed; the first is as it was" in said, said
    assert "name a folder on another one in TMPDIR" in said, said
    assert "No space left on device" in said or "is full" in said, said
    assert "a defect of this command" not in said


@pytest.mark.whole
def test_what_changed_between_two_runs_is_named(finished, second):
    with finished.replaced("experiment.yaml", "seed: 5", "seed: 55"):
        verify = second()
        said, _ = verify.communicate(timeout=900)
    assert verify.returncode == 1 and "files differ" in said and "`make run` first" in said, said
    shard = "resources/datasets/sums/train-00000-of-00002.parquet"
    assert f"{shard}: " in said and "results/experiments/small/hf/model.safetensors: " in said
    # what does not follow from those rows is the same
    assert "resources/problems/sums-heldout.parquet" not in said


def test_a_result_that_was_flipped_is_found_and_named(finished, tmp_path):
    other: House = finished.copied(tmp_path / "other")
    names = sorted(reproduction._names(other.path))
    kinds = {Path(name).suffix: name for name in names}
    assert len(kinds) > 5
    for name in kinds.values():
        data = (other.path / name).read_bytes()
        at = len(data) // 2
        with other.edited(name, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]):
            done = finished.verify("--against", str(other.path))
        # a checkpoint's file is reached by several names
        assert done.returncode == 1 and f"{name}: same size, other bytes" in done.stderr, done.stderr
        assert "`make run` first" in done.stderr
    assert SAME in finished.verify("--against", str(other.path)).stdout
