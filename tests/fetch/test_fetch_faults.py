"""Every way a server can misbehave ends in the right file or in a taught error, never in a wrong file."""

import hashlib
import json
import socket
from dataclasses import replace

import pytest
from fetched_file import NAME, OTHER, QUICK, RIGHT, assert_no_file, assert_right, fetch, lock, parquet
from hub_listings import SHA1

from distillery import files
from distillery.fetch import fetching, part, transfer
from distillery.fetch.listing import Listing, RemoteFile
from distillery.problems import Problem

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
