"""msrun's line, its contradictions, and what is read in its ranks' logs."""

import pytest

from distillery.launch import loglines
from distillery.launch.msrun import Job, command
from distillery.problems import UsageProblem


def test_contradictions_are_wrong_usage(tmp_path):
    with pytest.raises(UsageProblem, match="outside the job"):
        Job(("w.py",), tmp_path, nodes=2, node_rank=2, master_addr="10.0.0.1")
    with pytest.raises(UsageProblem, match="cannot reach"):
        Job(("w.py",), tmp_path, nodes=2, master_addr="localhost")
    with pytest.raises(UsageProblem, match="no such port"):
        Job(("w.py",), tmp_path, local_workers=2, master_port=80)


def test_msrun_is_told_the_world(tmp_path):
    job = Job(
        ("w.py", "--a"),
        tmp_path,
        local_workers=8,
        nodes=2,
        node_rank=1,
        master_addr="10.0.0.1",
        bind_core=True,
    )
    words = command(job, "/e/bin/python", "/e/bin/msrun")
    assert words[:6] == [
        "/e/bin/msrun",
        "--worker_num=16",
        "--local_worker_num=8",
        "--master_addr=10.0.0.1",
        "--master_port=8118",
        "--node_rank=1",
    ]
    assert {"--join=True", "--bind_core=True"} <= set(words)
    assert words[-2:] == ["w.py", "--a"]
    assert list(job.local_ranks) == list(range(8, 16))


def test_log_lines():
    line = (
        " [2025-09-01 12:00:01.123] iteration      100/    2000 | consumed samples:         6400 | elapsed time per "
        "iteration (ms): 12345.6 | learning rate: 6.250000E-07 | global batch size:    64 | lm loss: 1.234567E+00 | "
        "loss scale: 1.0 | grad norm: nan | number of skipped iterations:   1 | number of nan iterations:   0 |"
    )
    record = loglines.metrics(line)
    assert (record["iteration"], record["seconds"], record["loss"]) == (100, 12.3456, 1.234567)
    assert record["grad_norm"] != record["grad_norm"]
    assert record["skipped_iterations"] == 1
    assert loglines.metrics("loading checkpoint at iteration 5") is None


@pytest.mark.parametrize(
    ("log", "error"),
    [
        ("a\nTraceback (most recent call last):\n  File x\nValueError: bad\nb", "ValueError: bad"),
        (
            "x.py: error: no data\n  where:  f\n  fix:    g\ndone",
            "x.py: error: no data\n  where:  f\n  fix:    g",
        ),
        ("[ERROR] DISTRIBUTED(1) a\n[ERROR] b", "[ERROR] DISTRIBUTED(1) a"),
        ("[ERROR] a\nTraceback (most recent call last):\nm.n.OtherError: c", "m.n.OtherError: c"),
        ("Traceback (most recent call last):\n  File x\nStopIteration", "StopIteration"),
        ("Traceback (most recent call last):\n  File x\nzmq.Again: too early", "zmq.Again: too early"),
        ("Traceback (most recent call last):\n  File x\nstep 3 of 4\nKeyError: 'a'", "KeyError: 'a'"),
        ("WARNING only: error rate 0.1\nRuntimeError in prose", None),
    ],
)
def test_the_first_real_error(log, error):
    watch = loglines.ErrorWatch()
    for line in log.split("\n"):
        watch.feed(line)
    assert watch.error == error
