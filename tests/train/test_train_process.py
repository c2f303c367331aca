"""The process of a training: what it loads, the CPUs it keeps to, the cache that it leaves alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from places import SCRIPTS
from train_parts import command, flags

from distillery.engine import mindspore_import

pytestmark = pytest.mark.mindspore


def test_mindspore_is_loaded_without_its_data_pipeline_and_others_still_get_it():
    program = """
import sys
sys.path.insert(0, sys.argv[1])
from distillery.engine import mindspore_import
mindspore_import.load("CPU")
assert "mindspore" in sys.modules and "dataengine" not in open("/proc/self/maps").read()
import mindspore.dataset, scipy.linalg
assert mindspore.dataset.NumpySlicesDataset([1, 2]).get_dataset_size() == 2
assert scipy.linalg.det([[2.0]]) == 2.0
"""
    done = subprocess.run(
        [sys.executable, "-c", program, SCRIPTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_operators_run_in_the_thread_that_asks_for_them():
    program = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from distillery.engine import mindspore_import
mindspore_import.load("CPU")
import mindspore
assert (mindspore.ops.ones((2, 2)) + 1).asnumpy().sum() == 8
names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
assert "python" in names and not any("_queue" in name for name in names), names
"""
    environment = {name: value for name, value in os.environ.items() if name != mindspore_import.AT_ONCE[0]}
    line = [sys.executable, "-c", program, SCRIPTS]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_mindspores_data_pipeline_is_not_loaded_to_be_cleaned_up_at_the_end():
    program = """
import atexit, sys
sys.path.insert(0, sys.argv[1])
# called last: after MindSpore's own
atexit.register(lambda: print("dataengine" in open("/proc/self/maps").read(), flush=True))
from distillery.engine import mindspore_import
mindspore_import.load("CPU")
if sys.argv[2:]:
    import mindspore.dataset
"""
    for more, wanted in ([], "False\n"), (["real"], "True\n"):
        line = [sys.executable, "-c", program, SCRIPTS, *more]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, wanted), done.stderr


@pytest.mark.parametrize("status", [0, 1, 3])
@pytest.mark.parametrize("kept", [True, False])
def test_a_crash_of_mindspores_own_end_does_not_change_how_a_rank_ended(status, kept):
    """As a core dump showed it: an exit function waits for a thread, which reads at address 0."""
    program = """
import atexit, ctypes, sys, threading
sys.path.insert(0, sys.argv.pop(1))
status, kept = int(sys.argv.pop()), sys.argv.pop() == "True"
from distillery import command
from distillery.engine import rank_end
from distillery.problems import Problem
def crash():
    thread = threading.Thread(target=ctypes.string_at, args=(0,))
    thread.start()
    thread.join()
atexit.register(crash)
if kept:
    command.at_end(rank_end.keep)
def main(args):
    print("all is done")
    if status:
        problem = Problem("it ended")
        problem.exit_code = status
        raise problem
command.run(command.parser("x"), main)
"""
    line = [sys.executable, "-c", program, SCRIPTS, str(kept), str(status)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status if kept else -signal.SIGSEGV, "all is done\n"), done


def test_two_processes_of_one_thread_keep_to_a_cpu_each(monkeypatch, tmp_path):
    """On one CPU there is nothing to share out; a third process of two CPUs goes unbound."""
    program = """
import os, sys
sys.path.insert(0, sys.argv[1])
from distillery.engine import threads
threads.limit(1)
print(*os.sched_getaffinity(0), flush=True)
sys.stdin.read()
"""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # other processes' claims do not count
    line = [sys.executable, "-c", program, SCRIPTS]
    allowed = sorted(os.sched_getaffinity(0))[:2]
    running, found = [], []
    for _ in range(3):
        running.append(
            subprocess.Popen(
                ["taskset", "-c", ",".join(map(str, allowed)), *map(str, line)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        found.append([int(cpu) for cpu in running[-1].stdout.readline().split()])
    for process in running:
        process.communicate()
    assert found == [allowed[:1], allowed[-1:], allowed]


def test_a_cache_of_compiled_graphs_in_the_environment_is_left_alone(parts, tmp_path, monkeypatch):
    monkeypatch.setenv("MS_COMPILER_CACHE_ENABLE", "1")
    monkeypatch.setenv("MS_COMPILER_CACHE_PATH", str(tmp_path / "cache"))
    done = command("posttrain_gpt.py", *flags(parts, tmp_path / "run", "--train-iters", 3))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cache").exists()
