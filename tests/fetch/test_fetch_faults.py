"""Every way a server can misbehave ends in the right file or in a taught error, never in a wrong file."""

import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import SHA1, HubServer
from places import SCRIPTS

from distillery import files, json_files
from distillery.fetch import arrivals, fetching, listing, part, transfer
from distillery.fetch.listing import Listing, RemoteFile
from distillery.fetch.transfer import Policy
from distillery.problems import Problem

NAME = "data/train-00000-of-00001.parquet"
QUICK = Policy(retries=3, backoff=0.001, timeout=0.4, min_speed=20_000)


def parquet(seed: int, rows: int = 20_000) -> bytes:
    """A parquet file of some 160 kB that does not compress."""
    sink = pa.BufferOutputStream()
    numbers = random.Random(seed)
    pq.write_table(
        pa.table({"x": [numbers.getrandbits(62) for _ in range(rows)]}), sink, use_dictionary=False
    )
    return sink.getvalue().to_pybytes()


RIGHT, OTHER = parquet(1), parquet(2)
assert len(RIGHT) == len(OTHER), "two revisions of one size, so that only digests tell them apart"


@pytest.fixture
def server(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as one:
        one.repo("lab/math", "dataset", {NAME: RIGHT})
        yield one


@pytest.fixture
def mirror():
    with HubServer() as one:
        one.repo("lab/math", "dataset", {NAME: RIGHT})
        yield one


def lock(**changed) -> Listing:
    known = {"bytes": len(RIGHT), "sha256": hashlib.sha256(RIGHT).hexdigest()} | changed
    one = RemoteFile(NAME, **known)
    return Listing("huggingface", "lab/math", "dataset", "main", SHA1, "2025-02-10T12:00:00Z", (one,))


def fetch(
    folder: Path, *servers: HubServer | str, made: Listing | None = None, policy: Policy = QUICK
) -> Path:
    output = folder / "shards/train-00000-of-00001.parquet"
    urls = [one if isinstance(one, str) else one.url for one in servers]
    arrivals.shard(made or lock(), NAME, output, endpoints=urls, policy=policy, offline=False)
    return output


def assert_right(output: Path) -> None:
    assert output.read_bytes() == RIGHT
    assert output.stat().st_mode & 0o777 == 0o444
    assert sorted(path.name for path in output.parent.iterdir()) == [
        output.name,
        f"{output.name}.manifest.json",
    ]


def assert_no_file(folder: Path) -> None:
    assert not (folder / "shards/train-00000-of-00001.parquet").exists()


# faults that one server alone recovers from, given a second try
RECOVERED = {
    "cut at the first byte": [{"kind": "cut", "at": 0, "times": 1}],
    "cut in the middle": [{"kind": "cut", "at": 70_000, "times": 1}],
    "cut again and again, each time further": [
        {"kind": "cut", "at": at, "times": 1} for at in range(9000, 150_000, 9000)
    ],
    "503 storm": [{"kind": "status", "status": 503, "times": 2}],
    "429 with Retry-After": [{"kind": "status", "status": 429, "headers": {"Retry-After": "0"}, "times": 2}],
    "500, then a cut, then 502": [
        {"kind": "status", "status": 500, "times": 1},
        {"kind": "cut", "at": 50_000, "times": 1},
        {"kind": "status", "status": 502, "times": 2},
    ],
    "reset before a header": [{"kind": "reset", "times": 2}],
    "silence": [{"kind": "silent", "at": 2, "times": 1}],
    "slow drip": [{"kind": "drip", "times": 1}],
    "416 to a good range": [{"kind": "cut", "at": 70_000, "times": 1}, {"kind": "unsatisfiable", "times": 1}],
    "a range ignored": [{"kind": "cut", "at": 70_000, "times": 1}, {"kind": "no-range", "times": 1}],
    "another entity tag in the middle": [
        {"kind": "cut", "at": 70_000, "times": 1},
        {"kind": "tag", "body": RIGHT, "headers": {"ETag": "another"}, "times": 1},
    ],
}


@pytest.mark.parametrize("name", RECOVERED)
def test_what_one_server_recovers_from(server, tmp_path, name):
    for fault in RECOVERED[name]:
        server.fault(**fault)
    assert_right(fetch(tmp_path, server))
    assert len(server.bodies()) > 1


# faults that last: with one server a taught error, with a mirror the right file
LASTING = {
    "always cut at the same byte": ({"kind": "cut", "at": 70_000}, "the connection broke"),
    "503 for ever": ({"kind": "status", "status": 503}, "answers 503"),
    "429 for ever": ({"kind": "status", "status": 429, "headers": {"Retry-After": "0"}}, "answers 429"),
    "404": ({"kind": "status", "status": 404}, "answers 404"),
    "401, gated": ({"kind": "status", "status": 401}, "HF_TOKEN"),
    "a shorter file": ({"kind": "other", "body": RIGHT[:-1000]}, "has a file of"),
    "a longer body than any header says": ({"kind": "longer"}, "sends more than"),
    "one bit wrong": ({"kind": "other", "body": RIGHT[:5000] + b"\x00" + RIGHT[5001:]}, "sha256"),
    "another revision's bytes": ({"kind": "other", "body": OTHER}, "sha256"),
    "a web page instead": ({"kind": "html"}, "web page"),
    "a wrong range": ({"kind": "wrong-range"}, "range that was not asked for"),
    "compressed bytes": ({"kind": "gzip"}, "compressed"),
    "a redirect loop": ({"kind": "loop", "path": "resolve"}, "circle"),
    "a redirect to a local file": ({"kind": "scheme", "path": "resolve"}, "no web address"),
    "another commit": ({"kind": "commit", "path": "resolve", "body": b"f" * 40}, "speaks for commit"),
    "resets for ever": ({"kind": "reset"}, "no connection"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_taught_and_a_mirror_cures_it(server, mirror, tmp_path, name):
    fault, message = LASTING[name]
    if name == "a wrong range":
        server.fault(kind="cut", at=70_000, times=1)
    server.fault(**fault)
    with pytest.raises(Problem, match="no address has the right file") as caught:
        fetch(tmp_path, server)
    assert message in str(caught.value) and server.url in str(caught.value)
    assert_no_file(tmp_path)
    assert_right(fetch(tmp_path, server, mirror))


def test_a_dead_mirror_is_passed_over(server, tmp_path):
    assert_right(fetch(tmp_path, "http://127.0.0.1:9", server))


def test_a_mirror_takes_over_in_the_middle_and_sends_only_the_rest(server, mirror, tmp_path):
    server.fault(kind="cut", at=70_000, times=1)
    server.fault(kind="status", status=503)
    assert_right(fetch(tmp_path, server, mirror))
    assert [(request.start, request.sent) for request in mirror.bodies()] == [(70_000, len(RIGHT) - 70_000)]


def test_a_mixture_of_two_revisions_is_found_and_each_mirror_tried_alone(server, mirror, tmp_path):
    mirror.repos["datasets", "lab/math"].files[NAME] = OTHER  # an older revision of the same size
    server.fault(kind="cut", at=70_000, times=1)
    # the mirror's LFS digest would betray it: plain addresses tell none
    made = replace(lock(), host="url", urls=(f"{server.url}/plain/{{name}}", f"{mirror.url}/plain/{{name}}"))
    assert_right(fetch(tmp_path, made=made))
    assert mirror.bodies()[0].start == 70_000  # it was mixed, and found out


def test_without_a_digest_nothing_is_continued_elsewhere(server, mirror, tmp_path, capfd):
    mirror.repos["datasets", "lab/math"].files[NAME] = OTHER
    server.fault(kind="cut", at=70_000, times=1)
    server.fault(kind="status", status=503)
    urls = (f"{server.url}/plain/{{name}}", f"{mirror.url}/plain/{{name}}")
    made = replace(lock(sha256=None), host="url", revision=None, urls=urls)
    output = fetch(tmp_path, made=made)
    assert output.read_bytes() == OTHER  # whole, of one server
    assert mirror.bodies()[0].start == 0 or mirror.bodies()[-1].sent == len(OTHER)
    assert "WARNING: nobody tells a digest" in capfd.readouterr().err


def test_without_a_digest_the_format_is_still_checked(server, tmp_path):
    server.fault(kind="other", body=b"PAR1" + bytes(len(RIGHT) - 8) + b"PAR1")
    with pytest.raises(Problem, match="no parquet file"):
        fetch(
            tmp_path,
            server,
            made=replace(lock(sha256=None), host="url", urls=(f"{server.url}/plain/{{name}}",)),
        )
    assert_no_file(tmp_path)


def test_a_body_whose_end_nobody_tells_is_not_believed(server, tmp_path):
    server.fault(kind="unframed", at=1000)
    made = replace(lock(sha256=None, bytes=None), host="url", urls=(f"{server.url}/plain/{{name}}",))
    with pytest.raises(Problem, match="a short body would pass"):
        fetch(tmp_path, made=made)
    assert_no_file(tmp_path)


@pytest.mark.parametrize("kind", ["other", "mixed"])
def test_a_file_that_changes_on_the_server_in_the_middle_is_never_mixed(server, tmp_path, kind):
    server.fault(kind="cut", at=70_000, times=1)
    server.fault(kind=kind, body=OTHER)
    made = replace(lock(sha256=None), host="url", urls=(f"{server.url}/plain/{{name}}",))
    assert fetch(tmp_path, made=made).read_bytes() == OTHER


def test_a_part_of_another_file_is_not_continued(server, tmp_path):
    server.fault(kind="cut", at=70_000)
    with pytest.raises(Problem):
        fetch(tmp_path, server)
    server.faults.clear()
    server.log.clear()
    server.repos["datasets", "lab/math"].files[NAME] = OTHER
    made = lock(sha256=hashlib.sha256(OTHER).hexdigest())
    assert fetch(tmp_path, server, made=made).read_bytes() == OTHER
    assert server.bodies()[0].start == 0


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


def test_killed_at_ten_random_moments_only_the_missing_bytes_are_fetched(server, tmp_path):
    server.pace = 0.02  # ten blocks of 16 KiB: 0.2 s for the whole file
    moments = random.Random(0)
    begun = part.beside(tmp_path / "shards/train-00000-of-00001.parquet")[0]
    sizes = []
    for _ in range(10):
        process = run(server, tmp_path)
        bodies = len(server.bodies())
        deadline = time.monotonic() + 30
        while len(server.bodies()) == bodies and process.poll() is None and time.monotonic() < deadline:
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


def test_progress_in_bytes_adds_up_to_the_file(server, tmp_path):
    server.fault(kind="cut", at=70_000, times=1)
    server.fault(kind="no-range", times=1)
    seen = []
    source = transfer.Source(f"{server.url}/plain/{NAME}")
    target = tmp_path / "x.parquet"
    transfer.fetch(lock().files[0], [source], target, QUICK, transfer.Progress(add=seen.append))
    assert sum(seen) == len(RIGHT) and min(seen) == -70_000


def test_several_files_at_a_time_and_one_failure_stops_the_others(server, tmp_path):
    bodies = {f"data/{i}.parquet": parquet(i, 2000) for i in range(8)}
    server.repo("lab/many", "dataset", bodies)
    listed = tuple(
        RemoteFile(name, len(body), hashlib.sha256(body).hexdigest()) for name, body in bodies.items()
    )
    made = Listing("huggingface", "lab/many", "dataset", "main", SHA1, None, listed)
    targets = {name: tmp_path / name for name in bodies}
    server.pace = 0.01
    assert fetching.fetch(made, targets, endpoints=[server.url], policy=QUICK, workers=4) == 8
    assert all(targets[name].read_bytes() == body for name, body in bodies.items())
    again = {name: tmp_path / "again" / name for name in bodies}
    server.fault(kind="html", path=hashlib.sha256(bodies["data/1.parquet"]).hexdigest())
    with pytest.raises(Problem, match="data/1.parquet"):
        fetching.fetch(made, again, endpoints=[server.url], policy=QUICK, workers=2)
    assert not again["data/7.parquet"].exists()


def test_the_port_of_a_closed_server_really_is_dead():
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 9)) != 0


def test_a_state_file_is_only_ever_read_with_its_own_part(tmp_path, server):
    output = tmp_path / "shards/train-00000-of-00001.parquet"
    begun, state = part.beside(output)
    begun.parent.mkdir()
    begun.write_bytes(OTHER[:70_000])  # a part that nobody can account for
    assert_right(fetch(tmp_path, server))
    begun.write_bytes(RIGHT[:70_000])
    state.write_text(json.dumps({"file": {"name": "another"}, "tags": {}, "used": []}))
    files.remove(output)
    server.log.clear()
    assert_right(fetch(tmp_path, server))
    assert server.bodies()[0].start == 0
