"""A server that fails: what passes is asked again, what lasts is told apart, and the key stands nowhere."""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from places import SUPPORT
from served_questions import ask, served


@pytest.fixture
def asks(tmp_path: Path):
    """`ask` in a folder of the test."""
    return functools.partial(ask, tmp_path)


# what a server does for a while, and how the answers come all the same
PASSING = [
    {"kind": "busy", "times": 20, "headers": {"Retry-After": "0.05"}},
    {"kind": "status", "times": 3, "status": 500},
    {"kind": "status", "times": 3, "status": 503},
    {"kind": "drop", "times": 3},
    {"kind": "half", "times": 3},
    {"kind": "hang", "times": 2},
    {"kind": "drip", "times": 2},
    {"kind": "missing", "times": 3},
    {"kind": "choices", "times": 3},
    {"kind": "cut", "times": 3},
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING, ids=lambda one: f"{one['kind']}{one.get('status', '')}")
def test_what_was_lost_is_asked_again_with_the_same_seed(asks, fault):
    with served() as server:
        _, straight = asks(server, "--task", "do_sample", count=8, name="straight")
        seeds = {one["seed"] for one in server.asked}
        server.asked.clear()
        server.fault(**fault)
        _, rows = asks(server, "--task", "do_sample", "--timeout", 1, count=8)
        again = Counter(one["seed"] for one in server.asked)
    assert rows == straight
    assert again.keys() == seeds and again.total() == 8 + fault["times"]


# what no repetition cures, with the words that tell it
LASTING = [
    ("status", 99, "failed 6 times at one question", "it broke"),
    ("half", 99, "failed 6 times", "no JSON"),
    ("missing", 99, "failed 6 times", "without content"),
    ("cut", 99, "failed 6 times", "finish_reason 'abort'"),
    ("other", 1, "another model has answered", "tuned-by-somebody"),
    ("short", 1, "cut an answer", "after 3 tokens"),
    ("overflow", 1, "do not fit into the server's context", "maximum context length"),
    ("model", 1, "no such model", "does not exist"),
]


@pytest.mark.parametrize("kind, times, what, found", LASTING, ids=lambda one: str(one))
def test_what_lasts_is_told_apart_and_what_was_answered_is_kept(asks, kind, times, what, found, monkeypatch):
    monkeypatch.setattr("distillery.serving.pacing.FIRST_WAIT", 0.01)
    with served() as server:
        server.fault(kind, skip=2, times=times)
        said, rows = asks(server, "--concurrency", 1, count=4, code=1)
        assert what in said and found in said and "p2" in said and not rows
        server.faults.clear()
        server.asked.clear()
        _, rows = asks(server, count=4)
        assert len(rows) == 4 and len(server.asked) == 2  # the first two were kept


def test_every_fault_of_the_server_is_tried():
    known = set(re.findall(r'case "(\w+)"', (SUPPORT / "llm_server.py").read_text()))
    assert known == {one["kind"] for one in PASSING} | {kind for kind, *_ in LASTING}


def test_fewer_are_asked_while_the_server_has_too_much_to_do(asks, tmp_path):
    with served() as server:
        server.limit, server.seconds = 4, 0.01
        _, rows = asks(server, "--concurrency", 32, count=60)
        assert len(rows) == 60 and server.refused < 120
    times = json.loads((tmp_path / "answers.timings.json").read_text())
    assert times["least_at_once"] <= 8


@pytest.mark.slow
def test_a_server_that_is_started_anew_is_asked_on(asks):
    with served() as first:
        _, straight = asks(first, count=30, name="straight")
        first.asked.clear()
        first.seconds = 0.05
        found: list = []
        job = threading.Thread(target=lambda: found.append(asks(first, "--concurrency", 2, count=30)))
        job.start()
        while len(first.asked) < 8:
            assert job.is_alive()
            time.sleep(0.01)
    # its connections break, and nobody listens for a while
    time.sleep(0.5)
    with served(port=int(first.url.rpartition(":")[2])) as second:
        job.join()
        assert len(second.asked) >= 30 - len(first.asked)
    assert found[0][1] == straight


KEY = "sk-leaks-nowhere-1234567890"


def test_the_key_stands_in_the_request_alone(asks, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", KEY)
    with served(key=KEY) as server:
        said, rows = asks(server, "--api-key-env", "SOME_KEY", "--log-interval", 1)
        assert len(rows) == 3 and KEY not in said
        server.key = "another"  # it repeats what it was given
        refused, _ = asks(server, "--api-key-env", "SOME_KEY", name="refused", code=1)
        assert "refuses the key" in refused and "SOME_KEY" in refused and KEY not in refused
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if KEY.encode() in path.read_bytes()]


def test_a_key_that_is_not_set_is_named(asks):
    with served() as server:
        said, _ = asks(server, "--api-key-env", "NOT_SET", code=1)
    assert "environment variable NOT_SET" in said
