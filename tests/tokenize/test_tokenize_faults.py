"""What ends a tokenizing or merging early leaves nothing behind: damage, kills, strays, full disks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import SCRIPTS
from tokenize_runs import FLAGS, FULL, MANY, contents, merge, run, shard

from distillery.problems import Problem


@pytest.mark.parametrize("damage", ["truncated", "empty", "schema", "other"])
def test_damaged_shards_leave_nothing(damage: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    words = {"truncated": "footer", "empty": "0 bytes", "schema": "column messages", "other": "footer"}[
        damage
    ]
    if damage == "schema":
        pq.write_table(pa.table({"text": ["a"]}), source)
    else:
        whole = source.read_bytes()
        source.write_bytes({"truncated": whole[:-900], "empty": b"", "other": b"not parquet" * 99}[damage])
    (tmp_path / "out").mkdir()
    with pytest.raises(Problem, match=rf"(?s)rows\.parquet.*{words}"):
        run(source, tmp_path / "out" / "d")
    assert not list((tmp_path / "out").iterdir())


def test_a_damaged_row_group_leaves_nothing(tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    start = pq.ParquetFile(source).metadata.row_group(3).column(1).data_page_offset
    content = bytearray(source.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    source.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    for workers in ("1", "2"):
        with pytest.raises(Problem, match=r"rows\.parquet, row group 3 of 7"):
            run(source, tmp_path / "out" / "d", "--workers", workers)
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_kill_leaves_nothing_that_a_rerun_trips_over(workers: str, tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY * 60)
    (tmp_path / "out").mkdir()
    prefix = tmp_path / "out" / "d"
    flags = [
        "--input",
        source,
        "--output-prefix",
        prefix,
        "--tokenizer-name-or-path",
        FULL,
        *FLAGS,
        "--workers",
        workers,
    ]
    command = [sys.executable, SCRIPTS / "preprocess_data.py", *flags, "--encoder", "exact"]
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        spool = prefix.with_name(".d_packed_input_ids_document.bin.partial")
        while not (spool.exists() and spool.stat().st_size):
            time.sleep(0.002)
            assert process.poll() is None, "ended before it could be killed"
        os.kill(process.pid, signal.SIGKILL)
    assert not [path.name for path in prefix.parent.iterdir() if path.name[0] != "."]
    deadline = time.monotonic() + 60  # each ends the block it is at, on a machine that others use
    while _running(process.pid):  # its workers notice and end
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run(source, prefix, "--workers", workers)
    run(source, tmp_path / "d", "--workers", workers)
    assert contents(prefix) == contents(tmp_path / "d")
    hidden = [path.name for path in prefix.parent.iterdir() if path.name[0] == "."]
    assert hidden == [".d_manifest.json.sha256"]


def _running(group: int) -> list[int]:
    """The processes of a group that still run.

    One that ended stays in it until the machine's first process has read its status, which in a container need not be.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def test_a_killed_worker_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distillery.tokenize import row_spans

    source = shard(tmp_path / "rows.parquet", MANY)
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(
        row_spans.ConversationWork, "__call__", lambda self, block: os.kill(os.getpid(), signal.SIGKILL)
    )
    with pytest.raises(Problem, match="fewer --workers"):
        run(source, tmp_path / "out" / "d", "--workers", "2")
    assert not list((tmp_path / "out").iterdir())


def test_strays_and_stale_orders(tmp_path: Path) -> None:
    """Training globs for fields, and keeps sample orders that a new dataset of the same name must not inherit."""
    source = shard(tmp_path / "rows.parquet", MANY[:5])
    order, other = (
        tmp_path / "d_train_indexmap_9ns_1234s_decoder_packed_idx.npy",
        tmp_path / "e_train_indexmap_1.npy",
    )
    order.touch()
    other.touch()
    run(source, tmp_path / "d")
    assert other.exists() and not order.exists()
    stray = tmp_path / "d_packed_foo_document.bin"
    stray.touch()
    with pytest.raises(Problem, match="d_packed_foo_document"):
        run(source, tmp_path / "d")
    run(source, tmp_path / "part")
    with pytest.raises(Problem, match="d_packed_foo_document"):
        merge([tmp_path / "part"], tmp_path / "d")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distillery.tokenize import outputs

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "_write_at", full)
    source = shard(tmp_path / "rows.parquet", MANY[:5])
    with pytest.raises(Problem, match="disk is full"):
        run(source, tmp_path / "d")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_full_disk_while_merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distillery.tokenize import merge as merging

    run(shard(tmp_path / "rows.parquet", MANY[:5]), tmp_path / "a")
    before = sorted(tmp_path.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(merging, "copy", full)
    with pytest.raises(Problem, match="disk is full"):
        merge([tmp_path / "a"], tmp_path / "m")
    assert sorted(tmp_path.iterdir()) == before


def test_a_prefix_that_cannot_be_written(tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY[:5])
    run(source, tmp_path / "part")
    for prefix in (source / "d", tmp_path / ("d" * 300)):
        with pytest.raises(Problem, match=r"(?s)no dataset can be written here.*--output-prefix"):
            run(source, prefix)
        with pytest.raises(Problem, match="no dataset can be written here"):
            merge([tmp_path / "part"], prefix)
    assert not list(tmp_path.glob("d*"))


def test_data_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        sync(descriptor)

    def replaced(old: Path, new: Path) -> None:
        done.append(("name", Path(old).name))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    run(shard(tmp_path / "rows.parquet", MANY[:10]), tmp_path / "d")
    named = [name for what, name in done if what == "name"]
    assert len(named) == 10 and re.fullmatch(r"\.d_manifest\.json\..+-\d+\.partial", named[-2])
    assert all(done.index(("sync", name)) < done.index(("name", name)) for name in named)
