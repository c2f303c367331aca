"""What the system refuses is said as such, whatever library was refused and in whatever words."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from places import SCRIPTS

from distillery import command, cpu_limit, files
from distillery.problems import Problem, refusal

# of a Python that had no memory for the rest of it
CUT = 'Traceback (most recent call last):\n  File "<frozen importlib._bootstrap_external>", line 729, in _compile_bytecode\n'
NO_SEGMENT = "x.so: failed to map segment from shared object"


def raising(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def written(error: BaseException) -> Callable[[], None]:
    """Raised while a file is written."""

    def call() -> None:
        with files.atomic(Path("y.bin")):
            raise error

    return call


def blamed() -> None:
    """A file is called damaged where memory was wanting."""
    try:
        bytearray(2**62)
    except MemoryError:
        raise Problem("damaged", where="x", fix="fetch it again") from None


def led_to() -> None:
    try:
        raise ImportError(NO_SEGMENT)
    except ImportError as error:
        raise ImportError("numpy cannot be imported") from error


def timed() -> None:
    former = signal.getsignal(signal.SIGXCPU)
    cpu_limit.heed()
    try:
        os.kill(os.getpid(), signal.SIGXCPU)
    finally:
        signal.signal(signal.SIGXCPU, former)


@pytest.mark.faults
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (raising(ImportError(NO_SEGMENT)), "ulimit -v"),
        (led_to, f"there is not enough memory\n  found:  {NO_SEGMENT}"),
        (raising(ImportError("x.so: cannot open shared object file: Too many open files")), "ulimit -n"),
        (raising(ImportError("umath failed to import")), "a library cannot be loaded"),
        (raising(PackageNotFoundError("numpy")), "ulimit -n"),
        (raising(ModuleNotFoundError(name="no_such.part")), "no module named no_such.part"),
        (raising(ModuleNotFoundError(name="json.no_such")), "no module named json.no_such"),
        *(
            (raising(RuntimeError(text)), "there is not enough memory")
            for text in (
                "Allocate memory failed",
                "Allocate output memory failed, alloc node:Default/ZerosLike-op0 alloc size:40960B",
                "Malloc for kernel output failed, Memory isn't enough, node:Default/Add-op1",
                "#umsg#Memory not enough:#umsg#Alloc device memory[400] failed",
            )
        ),
        (raising(RuntimeError("can't start new thread")), "ulimit -u"),
        (raising(FileNotFoundError(2, "No usable temporary directory found in []")), "in TMPDIR"),
        (written(ValueError("I/O error: (os error 27)")), "refused: File too large\n  where:  y.bin\n"),
        (written(OSError(28, "No space left on device")), "No space left on device\n  where:  y.bin\n"),
        (blamed, "there is not enough memory\n  where:  x\n"),
        (timed, f"{cpu_limit.NAME} is reached"),
    ],
)
def test_what_a_library_says_of_the_system_is_taught(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        call()
    said, code = command._told(caught.value, "x.py")
    assert code == 1 and "Traceback" not in said and words in said, said
    assert "fix: " in said and "fetch it again" not in said and not [*tmp_path.iterdir()]


def test_a_traceback_that_does_not_come_to_its_end_is_want_of_memory():
    for text in (CUT, f"Warning: odd\n{CUT}    import numpy\n"):
        assert refusal(RuntimeError(text)).errno == errno.ENOMEM
    assert refusal(RuntimeError(f"{CUT}ValueError: it says")) is None


STARVED = """
import atexit, sys, time
from distillery import command
def main(args):
    atexit.register(time.sleep, 60)
    raise MemoryError
command.run(command.parser("x"), main)
"""


@pytest.mark.faults
def test_whoever_lacks_memory_ends_without_waiting_for_those_who_do(tmp_path):
    (tmp_path / "x.py").write_text(STARVED)
    line = [sys.executable, tmp_path / "x.py", "--log", tmp_path / "log"]
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1 and "there is not enough memory" in done.stderr
    assert "there is not enough memory" in (tmp_path / "log").read_text()


WITHOUT_A_STACK = """
import resource, threading
from distillery import command
def main(args):
    resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
    over, threads = threading.Event(), []
    try:
        while True:
            threads.append(threading.Thread(target=over.wait))
            threads[-1].start()
    finally:
        over.set()  # those that run may end: what is told does not wait for it
command.run(command.parser("x"), main)
"""


@pytest.mark.faults
def test_a_thread_without_memory_for_its_stack_blames_the_limit_of_memory(tmp_path):
    (tmp_path / "x.py").write_text(WITHOUT_A_STACK)
    env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(
        [sys.executable, tmp_path / "x.py"], env=env, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 1 and "ulimit -v" in done.stderr and "new thread" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "error", [KeyError("x"), ImportError("no name", name="distillery.x"), ValueError("(os error 2)")]
)
def test_a_defect_stays_one(error):
    said, _ = command._told(error, "x.py")
    assert "a defect of this command" in said
