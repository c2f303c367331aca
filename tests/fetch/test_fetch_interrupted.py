"""A fetch that is killed, stopped, or meets what others left in its place loses nothing and believes nothing."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fetched_file import NAME, OTHER, QUICK, RIGHT, assert_no_file, assert_right, fetch, lock
from hub_listings import SHA1
from hub_server import HubServer
from places import SCRIPTS

from distillery import json_files
from distillery.fetch import arrivals, listing, part
from distillery.fetch.listing import Listing, RemoteFile
from distillery.problems import Problem


@pytest.mark.parametrize("wrong", [b"", b"<html>", RIGHT[:-1], OTHER])
def test_a_wrong_file_under_the_right_name_is_replaced(server, tmp_path, wrong):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards/train-00000-of-00001.parquet").write_bytes(wrong)
    assert_right(fetch(tmp_path, server))


def test_what_is_there_needs_no_network_and_offline_lists_what_is_not(server, tmp_path):
    output = fetch(tmp_path, server)
    manifest = json_files.read(output.with_name(f"{output.name}.manifest.json"))
    assert manifest["revision"] == SHA1 and manifest["date"] == "2025-02-10T12:00:00Z"
    assert manifest["files"] == [
        {
            "name": output.name,
            "bytes": len(RIGHT),
            "sha256": hashlib.sha256(RIGHT).hexdigest(),
            "rows": 20_000,
        }
    ]
    server.log.clear()
    arrivals.shard(lock(), NAME, output, endpoints=["http://127.0.0.1:9"], policy=QUICK, offline=True)
    assert not server.log
    with pytest.raises(Problem, match="offline, and files are missing") as caught:
        arrivals.shard(
            lock(), NAME, tmp_path / "absent.parquet", endpoints=[server.url], policy=QUICK, offline=True
        )
    assert "absent.parquet" in str(caught.value) and not server.log


def test_a_file_in_a_store_outlives_the_link_to_it(server, tmp_path):
    output, store = tmp_path / "shards/train.parquet", tmp_path / "store"
    options = {"policy": QUICK, "offline": False, "store": store}
    arrivals.shard(lock(), NAME, output, endpoints=[server.url], **options)
    assert output.read_bytes() == RIGHT and str(output.readlink()) == f"../store/{NAME}"
    output.unlink()
    server.log.clear()
    assert arrivals.shard(lock(), NAME, output, endpoints=[server.url], **options) == (0, 20_000)
    assert output.read_bytes() == RIGHT and not server.log


def test_a_full_disk_is_seen_before_a_byte_moves(server, tmp_path):
    with pytest.raises(Problem, match="not enough room"):
        fetch(tmp_path, server, made=lock(bytes=10**18))
    assert not server.log


def test_symbolic_links_in_the_way_are_not_followed(server, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    server.repo("lab/tiny", "model", {"weights/config.json": b"{}"})
    (tmp_path / ".model.fetch").mkdir()
    (tmp_path / ".model.fetch/weights").symlink_to(outside)
    one = RemoteFile("weights/config.json", 2, git_sha1="9e26dfeeb6e641a33dae4961196235bdb965b21b")
    made = Listing("huggingface", "lab/tiny", "model", "main", SHA1, None, (one,))
    with pytest.raises(Problem, match="symbolic link is in the way"):
        arrivals.model(
            made, tmp_path / "model", endpoints=[server.url], policy=QUICK, workers=1, offline=False
        )
    assert not list(outside.iterdir())
    (tmp_path / "shards").mkdir()
    begun = part.beside(tmp_path / "shards/train-00000-of-00001.parquet")[0]
    begun.symlink_to(outside / "target")  # the part file itself
    with pytest.raises(OSError):
        fetch(tmp_path, server)
    assert not list(outside.iterdir())


def test_two_processes_do_not_write_one_file(server, tmp_path):
    output = tmp_path / "shards/train-00000-of-00001.parquet"
    with (
        part.opened(lock().files[0], output, lambda count: None),
        pytest.raises(Problem, match="another process"),
    ):
        fetch(tmp_path, server)


def test_the_token_is_not_sent_on_to_the_store(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    output = fetch(tmp_path, server)
    tokens = {request.path.startswith("/lfs"): request.token for request in server.log}
    assert tokens == {False: "Bearer hf_secret", True: None}
    assert "hf_secret" not in output.with_name(f"{output.name}.manifest.json").read_text()


def run(server: HubServer, folder: Path, **limits) -> subprocess.Popen:
    listing.write(folder / "lock.json", lock())
    command = [
        sys.executable,
        str(SCRIPTS / "fetch_shard.py"),
        "--lock",
        str(folder / "lock.json"),
        "--file",
        NAME,
    ]
    command += [
        "--endpoint",
        server.url,
        "--backoff",
        "0.001",
        "--output",
        str(folder / "shards/train-00000-of-00001.parquet"),
    ]
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MODELSCOPE_"))
    }
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **limits
    )


def test_a_disk_that_fills_up_is_taught_and_the_part_is_kept(server, tmp_path):
    import resource

    def limit() -> None:  # the kernel refuses bytes beyond 64 KiB of one file, as a full disk would
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    process = run(server, tmp_path, preexec_fn=limit)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "the disk is full" in errors and "Traceback" not in errors
    assert_no_file(tmp_path)
    server.log.clear()
    assert_right(fetch(tmp_path, server))
    assert server.bodies()[0].start == 1 << 16


@pytest.mark.slow
def test_killed_at_ten_random_moments_only_the_missing_bytes_are_fetched(server, tmp_path):
    server.pace = 0.02  # ten blocks of 16 KiB: 0.2 s for the whole file
    moments = random.Random(0)
    begun = part.beside(tmp_path / "shards/train-00000-of-00001.parquet")[0]
    sizes = []
    for number in range(10):
        process = run(server, tmp_path)
        bodies = len(server.bodies())
        while len(server.bodies()) == bodies and process.poll() is None:
            time.sleep(0.001)
        # every second time not before something is on the disk, which a busy machine may be slow to put there
        while (
            number % 2
            and process.poll() is None
            and not (begun.exists() and begun.stat().st_size > sizes[-1])
        ):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.04))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if not begun.exists():  # it was quicker
            break
        sizes.append(begun.stat().st_size)
    process = run(server, tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert_right(tmp_path / "shards/train-00000-of-00001.parquet")
    # each run asked from where the part of the one before ended, and from nowhere else
    starts = [request.start for request in server.bodies()]
    assert starts[0] == 0 and set(starts[1:]) <= set(sizes) and starts == sorted(starts)
    assert max(starts) > 0


def test_ctrl_c_keeps_the_part(server, tmp_path):
    server.pace = 0.05
    process = run(server, tmp_path)
    begun = part.beside(tmp_path / "shards/train-00000-of-00001.parquet")[0]
    deadline = time.monotonic() + 30
    while (not begun.exists() or begun.stat().st_size == 0) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1 and "interrupted" in errors and begun.stat().st_size > 0
    server.pace = 0
    assert_right(fetch(tmp_path, server))
