"""Processes under limits: what ends them, and what is made of it."""

import ctypes
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from distillery.evaluate import judge
from distillery.evaluate.limited_workers import CHUNK, Fate, answers, untimed
from distillery.problems import Problem


def act(question: tuple, more: object = None) -> object:
    """What each of these tests asks of a worker."""
    what, *rest = question
    if what == "spin":
        while True:
            pass
    if what == "signal":
        if rest[0] != signal.SIGKILL:
            signal.signal(rest[0], signal.SIG_DFL)  # below nohup a hang-up is ignored
        os.kill(os.getpid(), rest[0])
    if what == "once":  # killed the first time only
        marker = Path(rest[0])
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), rest[1])
    if what == "read nothing":
        ctypes.string_at(0)
    if what == "wait":
        untimed(burn)
    if what == "miss":
        untimed(miss)
    if what == "divide":
        return 1 / 0
    return what, os.getpid()


def burn() -> None:
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass


def miss() -> None:
    raise ImportError("no such library")


class Unreadable:
    """Ends the process that a function with it is handed to."""

    def __reduce__(self) -> tuple:
        return miss, ()


def asked(questions: list, **limits) -> list:
    return [answer for _, answer in sorted(answers(act, questions, **limits), key=lambda pair: pair[0])]


def names(found: list) -> list:
    return [answer[0] if isinstance(answer, tuple) else answer for answer in found]


@pytest.mark.slow
def test_all_questions_are_answered_in_any_number_of_processes():
    questions = [(f"q{number}",) for number in range(5 * CHUNK + 3)]
    for workers in (1, 3):
        found = asked(questions, workers=workers)
        assert names(found) == [name for (name,) in questions]
        assert len({pid for _, pid in found}) <= workers
    assert asked([], workers=2) == []


@pytest.mark.slow
def test_only_the_timer_makes_a_time_out_and_only_its_own_question_suffers():
    questions = [
        ("a",),
        ("spin",),
        ("b",),
        ("read nothing",),
        ("divide",),
        ("signal", signal.SIGABRT),
        ("c",),
    ]
    expected = ["a", Fate.TIMED_OUT, "b", Fate.CRASHED, Fate.CRASHED, Fate.CRASHED, "c"]
    for workers in (1, 2):
        assert names(asked(questions, workers=workers, cpu_seconds=0.5)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGPROF])
def test_a_question_whose_worker_was_killed_is_asked_again(tmp_path, number):
    """Also where it was killed by the signal that its own timer sends."""
    questions = [("a",), ("once", str(tmp_path / "marker"), number), ("b",)]
    assert names(asked(questions)) == ["a", "once", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_killed_twice_ends_the_command_and_makes_no_answer_wrong(number):
    with pytest.raises(Problem, match=f"(?s)ended from outside, twice.*question 7.*{number.name}"):
        asked([("a",), ("signal", number)], name=lambda question: "question 7")
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "question"), [(partial(act, more=Unreadable()), ("a",)), (act, ("miss",))]
)
def test_a_worker_that_cannot_start_ends_the_command(function, question):
    """Also where what it misses is missed at its first question: that makes no answer wrong."""
    with pytest.raises(Problem, match="does not start"):
        list(answers(function, [question]))


@pytest.mark.slow
def test_what_is_loaded_for_a_question_is_not_its_time():
    assert names(asked([("wait",), ("spin",), ("a",)], cpu_seconds=0.2)) == ["wait", Fate.TIMED_OUT, "a"]


@pytest.mark.slow
def test_scores_survive_the_death_of_all_workers():
    """The workers of a whole scoring are killed once; no verdict is another."""
    right = r"\int_0^{7} x^{3} dx + \sum_{k=1}^{40} k^{3}"
    questions = [judge.Question(right, rf"\boxed{{{right} + {n % 2}}}", name=f"p{n}") for n in range(60)]
    expected = [verdict.strict for _, verdict in sorted(judge.judge(questions), key=lambda pair: pair[0])]
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + 30
        while len(killed) < 2 and time.monotonic() < deadline:
            for child in psutil.Process().children():
                if child.pid not in killed and "spawn_main" in " ".join(child.cmdline()):
                    time.sleep(0.7)
                    child.kill()
                    killed.append(child.pid)

    thread = threading.Thread(target=kill)
    thread.start()
    found = [verdict.strict for _, verdict in sorted(judge.judge(questions, 2), key=lambda pair: pair[0])]
    thread.join()
    assert len(killed) == 2 and found == expected == [n % 2 == 0 for n in range(60)]
