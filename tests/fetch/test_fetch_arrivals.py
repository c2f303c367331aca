"""Fetched and local models, shards and problem sets: exactly what the lock says, checked as a whole."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hub_listings import SHA1
from hub_server import HubServer
from hypothesis import given
from hypothesis import strategies as st
from places import SCRIPTS
from safetensors.numpy import load_file, save

from distillery import digests, files, json_files
from distillery.fetch import arrivals, arrived_files, listing, locking, names, openr1, synthetic
from distillery.fetch.listing import Listing
from distillery.fetch.transfer import Policy
from distillery.problems import Problem

QUICK = Policy(retries=3, backoff=0.001, timeout=1.0)


def weights(**tensors: int) -> bytes:
    return save({name: np.full((size,), size, np.float32) for name, size in tensors.items()})


FIRST, SECOND = (f"model-0000{n}-of-00002.safetensors" for n in (1, 2))
MODEL = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer_config.json": b"{}",
    "tokenizer.json": json.dumps({"model": "x" * 5000}).encode(),
    FIRST: weights(a=1000, b=20),
    SECOND: weights(c=2000),
    "model.safetensors.index.json": json.dumps(
        {"weight_map": {"a": FIRST, "b": FIRST, "c": SECOND}}
    ).encode(),
}


@pytest.fixture
def server(monkeypatch, tmp_path):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    with HubServer() as one:
        one.repo("lab/tiny", "model", dict(MODEL))
        yield one


def lock(server: HubServer, host: str = "huggingface") -> Listing:
    asked = Listing(host, "lab/tiny", "model", None, None, None, ())
    return locking.lock(asked, patterns=None, endpoints=[server.url], known=None, offline=False)


def fetch(server: HubServer, made: Listing, folder: Path, offline: bool = False) -> int:
    return arrivals.model(
        made, folder / "tiny", endpoints=[server.url], policy=QUICK, workers=3, offline=offline
    )


@pytest.mark.parametrize("host", ["huggingface", "modelscope"])
def test_a_model_arrives_whole_with_a_manifest(server, tmp_path, host):
    assert fetch(server, lock(server, host), tmp_path) == len(MODEL)
    directory = tmp_path / "tiny"
    held = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert held.keys() == {*MODEL, "manifest.json", ".manifest.json.sha256"} and held.items() >= MODEL.items()
    manifest = json_files.read(directory / "manifest.json")
    assert (manifest["revision"], manifest["date"]) == (SHA1, "2025-02-10T12:00:00Z")
    branch = "main" if host == "huggingface" else "master"
    where = {"host": host, "repo": "lab/tiny", "repo_type": "model", "requested": branch}
    assert manifest["source"] == {"kind": "hub", **where}
    assert {one["name"]: one["sha256"] for one in manifest["files"]} == {
        name: hashlib.sha256(body).hexdigest() for name, body in MODEL.items()
    }
    assert [path.name for path in tmp_path.iterdir() if path.name != "modelscope"] == ["tiny"]
    assert all((directory / name).stat().st_mode & 0o222 == 0 for name in MODEL)


def test_what_is_there_is_not_fetched_again_and_what_is_strange_goes(server, tmp_path):
    made = lock(server)
    fetch(server, made, tmp_path)
    server.log.clear()
    assert fetch(server, made, tmp_path, offline=True) == 0 and not server.log
    # Snakemake removes the output it knows before a job; the files are still right
    manifest = (tmp_path / "tiny/manifest.json").read_bytes()
    (tmp_path / "tiny/manifest.json").unlink()
    (tmp_path / "tiny/old-shard.safetensors").write_bytes(weights(z=1))
    files.remove(tmp_path / "tiny/config.json")
    assert fetch(server, made, tmp_path) == 1
    assert [request.path.rpartition("/")[2] for request in server.bodies()] == ["config.json"]
    assert not (tmp_path / "tiny/old-shard.safetensors").exists()
    assert (tmp_path / "tiny/manifest.json").read_bytes() == manifest


def test_an_index_that_names_other_tensors_than_the_shards_hold_is_found(server, tmp_path):
    repo = server.repos["models", "lab/tiny"]
    repo.files["model-00002-of-00002.safetensors"] = weights(d=2000)
    with pytest.raises(Problem, match="not those of their index") as caught:
        fetch(server, lock(server), tmp_path)
    assert "2 tensors differ" in str(caught.value) and not (tmp_path / "tiny").exists()
    del repo.files["config.json"]
    with pytest.raises(Problem, match="the model lacks a file"):
        fetch(server, lock(server), tmp_path)


@pytest.mark.slow
def test_a_killed_model_fetch_continues_file_by_file(server, tmp_path):
    big = {f"model-0000{i}-of-00004.safetensors": weights(**{f"t{i}": 60_000}) for i in range(1, 5)}
    small = {name: MODEL[name] for name in ("config.json", "tokenizer_config.json")}
    server.repo("lab/tiny", "model", small | big)
    listing.write(tmp_path / "lock.json", lock(server))
    server.log.clear()
    server.pace = 0.01
    command = [sys.executable, str(SCRIPTS / "fetch_model.py"), "--lock", str(tmp_path / "lock.json")]
    command += ["--endpoint", server.url, "--workers", "2", "--output-dir", str(tmp_path / "tiny")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    staging = tmp_path / ".tiny.fetch"
    while not list(staging.glob("*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    whole = {path.name for path in staging.glob("*.safetensors")}
    parts = {path.name[1:-5]: path.stat().st_size for path in staging.glob(".*.part")}
    assert whole and not (tmp_path / "tiny").exists()
    server.log.clear()
    server.pace = 0
    assert subprocess.run(command, capture_output=True).returncode == 0
    by_digest = {hashlib.sha256(body).hexdigest(): name for name, body in big.items()}
    starts = {
        by_digest[r.path.rpartition("/")[2]]: r.start for r in server.bodies() if r.path.startswith("/lfs")
    }
    # a part that was whole when the process was killed needs no further byte
    assert starts.keys() == {name for name in big.keys() - whole if parts.get(name) != len(big[name])}
    assert all(starts[name] == size for name, size in parts.items() if name in starts)
    assert all((tmp_path / "tiny" / name).read_bytes() == body for name, body in (small | big).items())


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_local_model_is_taken_without_its_pickles(tmp_path, mode):
    source = tmp_path / "source"
    source.mkdir()
    for name, body in (MODEL | {"pytorch_model.bin": b"x", "run.py": b"x"}).items():
        (source / name).write_bytes(body)
    command = [sys.executable, str(SCRIPTS / "fetch_path.py"), "--kind", "model", "--path", str(source)]
    done = subprocess.run(
        [*command, "--mode", mode, "--output", str(tmp_path / "tiny")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "tiny").iterdir()} == {
        *MODEL,
        "manifest.json",
        ".manifest.json.sha256",
    }
    assert (tmp_path / "tiny/config.json").is_symlink() is (mode == "link")
    assert "a" in load_file(tmp_path / "tiny/model-00001-of-00002.safetensors")
    assert str(tmp_path) not in (tmp_path / "tiny/manifest.json").read_text()


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_local_shard_is_counted_and_a_cut_one_refused(tmp_path, mode):
    shard = tmp_path / "train-00000-of-00001.parquet"
    openr1.write(synthetic.shard_rows(0, 0, 12), openr1.SHARD_SCHEMA, shard)
    command = [sys.executable, str(SCRIPTS / "fetch_path.py"), "--kind", "shard", "--path", str(shard)]
    output = tmp_path / "d" / shard.name
    output.parent.mkdir()
    digests.write_text(output, "of the source before, which left its digest")
    done = subprocess.run([*command, "--mode", mode, "--output", str(output)], capture_output=True, text=True)
    assert done.returncode == 0 and "12 rows" in done.stdout
    assert output.read_bytes() == shard.read_bytes()
    digests.check_file(output)
    assert json_files.read(output.with_name(f"{output.name}.manifest.json"))["files"][0]["rows"] == 12
    shard.write_bytes(shard.read_bytes()[:-10])
    again = subprocess.run(
        [*command, "--mode", "copy", "--output", str(output)], capture_output=True, text=True
    )
    assert (
        again.returncode == 1
        and "a parquet file that cannot be read" in again.stderr
        and "Traceback" not in again.stderr
    )


def test_rows_are_counted_over_all_shards(tmp_path):
    shards = [tmp_path / f"{i}.parquet" for i in range(3)]
    for number, shard in enumerate(shards):
        openr1.write(synthetic.shard_rows(0, number, 4 + number), openr1.SHARD_SCHEMA, shard)
    command = [sys.executable, str(SCRIPTS / "fetch_count_rows.py"), "--shards", *map(str, shards)]
    command += ["--output", str(tmp_path / "rows.json"), "--rows"]
    assert subprocess.run([*command, "15"], capture_output=True).returncode == 0
    assert json_files.read(tmp_path / "rows.json")["shards"] == {
        "0.parquet": 4,
        "1.parquet": 5,
        "2.parquet": 6,
    }
    done = subprocess.run([*command, "16"], capture_output=True, text=True)
    assert done.returncode == 1 and "another number of rows" in done.stderr


@given(st.text(max_size=40))
def test_any_name_that_is_called_safe_stays_inside(name):
    directory = Path("/base/directory")
    try:
        names.safe(name)
    except Problem:
        return
    assert Path(os.path.normpath(directory / name)).is_relative_to(directory)
    assert Path(os.path.normpath(directory / name)) != directory


@given(st.binary(max_size=200))
def test_no_bytes_pass_for_safetensors_unless_the_library_takes_them(tmp_path_factory, data):
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = tmp_path_factory.mktemp("x") / "m.safetensors"
    path.write_bytes(data)
    if arrived_files.malformed("m.safetensors", path) is None:
        load(data)
    else:
        with pytest.raises((SafetensorError, ValueError)):
            load(data)


@pytest.mark.parametrize(
    "header",
    ["[]", "7", '{"a": 1}', '{"a": {"data_offsets": [0]}}', '{"a": {"data_offsets": ["x", 2]}}', "[" * 9000],
)
def test_a_header_of_another_shape_is_malformed(tmp_path, header):
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
    assert "no safetensors file" in arrived_files.malformed(path.name, path)


@pytest.mark.parametrize("cut", [1, 100, 4000])
def test_a_cut_or_grown_safetensors_file_is_malformed(tmp_path, cut):
    body = MODEL["model-00001-of-00002.safetensors"]
    path = tmp_path / "m.safetensors"
    for wrong in (body[:-cut], body + b"\0" * cut):
        path.write_bytes(wrong)
        assert "no safetensors file" in arrived_files.malformed(path.name, path)
    path.write_bytes(body)
    assert arrived_files.malformed(path.name, path) is None
