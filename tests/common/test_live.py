"""What commands and runs show while they go on: on a terminal of 80 columns, in a log, beside it, in a pipe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import SCRIPTS
from terminals import on_a_terminal

from distillery import live, progress

COMMAND = f"""
import sys, time; sys.path.insert(0, {str(SCRIPTS)!r})
from distillery import command, live, live_lines, progress
live.TICK, live.NOTES = 0.01, 0.02
live.PATIENCE, live.SILENCE = eval(sys.argv.pop(1))
def main(args):
    progress.begin("answers", 400, 12)
    for done in range(13, 43):
        progress.reached(done, "310 tokens/s \x1b[2J" + "x" * 60)
        time.sleep(0.02)
        if done == 30:
            print("a line that stays", file=sys.stderr, flush=True)
        if done == 35:
            print("half a ", end="", flush=True, file=sys.stderr); time.sleep(0.1); print("line", file=sys.stderr)
    {{end}}
command.run(command.parser("x"), main)
"""


def words(times: tuple[float, float], *more: object, end: str = "") -> list[str]:
    return [sys.executable, "-c", COMMAND.replace("{end}", end), str(times), *map(str, more)]


def test_a_terminal_shows_one_line_that_changes_and_keeps_what_was_said():
    said = on_a_terminal(words((0.1, 9)))
    assert re.search(r"\r\x1b\[J-c  0:00  30/400 answers  310 tokens/s \\x1b\[2Jx+", said)
    assert len(re.findall(r"/400 answers", said)) > 10
    frames = re.split(r"\r(?:\x1b\[J)?", said)
    assert max(len(line) for frame in frames for line in frame.split("\n")) < 80
    # what stays is whole, and the last frame is taken away
    left = "".join(frame for frame in frames if "/400" not in frame)
    assert "a line that stays\n" in left and "half a line\n" in left and said.endswith("\x1b[J")


def test_nothing_is_drawn_of_a_command_that_is_soon_over():
    assert on_a_terminal(words((9, 9))) == "a line that stays\nhalf a line\n"


def test_a_pipe_and_a_log_get_plain_lines_after_silence(tmp_path):
    done = subprocess.run(words((0, 0.1)), capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert (
        2 <= len([line for line in lines if re.match(r"-c  0:0\d  \d+/400 answers  310 tokens/s", line)]) < 9
    )
    assert "a line that stays" in lines and "\r" not in done.stderr
    log = tmp_path / "logs/job.log"
    done = subprocess.run(words((0, 0.1), "--log", log), capture_output=True, text=True, check=True)
    assert not done.stdout + done.stderr and "/400 answers" in log.read_text()
    assert sorted(path.name for path in log.parent.iterdir()) == ["job.log", "job.versions.json"]


def test_beside_a_log_lies_how_far_the_command_is_and_how_it_ended(tmp_path):
    log = tmp_path / "job.log"
    process = subprocess.Popen(words((0, 9), "--log", log, end="time.sleep(600)"))
    deadline = time.monotonic() + 60
    while "42/400 answers" not in live.read(log).get("line", ""):
        assert time.monotonic() < deadline, live.read(log)
        time.sleep(0.01)
    said = live.read(log)
    assert said["process"] == process.pid and live.goes_on(said)
    assert not live.goes_on({**said, "began": "1"}) and live.goes_on({**said, "host": "another"})
    for heard in (1e4, -1e4):  # long ago, or before the clock was set back
        assert not live.goes_on({**said, "host": "another", "heard": heard})
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not live.goes_on(live.read(log))
    error = "from distillery.problems import Interrupted; raise Interrupted('saved')"
    assert subprocess.run(words((0, 9), "--log", log, end=error), stderr=subprocess.DEVNULL).returncode == 3
    assert live.read(log)["ended"] == 3 and not live.goes_on(live.read(log))
    live.beside(log).write_text("[")
    assert live.read(log) == {}


def test_a_rank_tells_its_launchers_file_and_is_silent_while_it_hangs(tmp_path):
    path = tmp_path / "train.progress.json"
    environment = {**os.environ, live.VARIABLE: str(path)}
    line = words((0, 0.05), end="time.sleep(0.5)")
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(path.read_text())["line"].startswith("42/400 answers")
    # of half a second in which nothing came no more than one line
    assert len(re.findall("42/400", done.stderr)) <= 1 < len(re.findall("/400", done.stderr))


@pytest.mark.parametrize(
    ("counted", "line"),
    [
        (progress.Progress(), ""),
        (progress.Progress("rows", None, 1200, "5 rows/s"), "1200 rows  5 rows/s"),
        (progress.Progress("bytes", 4_040_000_000, 620_000_000), "620 MB of 4.04 GB"),
        (progress.Progress("bytes", None, 999), "999 B"),
        (progress.Progress("steps", 400, 12, "compiling"), "12/400 steps  compiling"),
    ],
)
def test_progress_in_words(counted, line):
    assert counted.line() == line


def test_the_time_left_is_reckoned_from_the_first_unit_that_was_done():
    counted = progress.Progress("steps", 100, 20, "", since=(50.0, 10))
    assert counted.seconds_left(70.0) == pytest.approx(160.0)
    assert [progress.clock(one) for one in (0.4, 59.6, 754, 3723)] == ["0:00", "1:00", "12:34", "1:02:03"]


@pytest.mark.slow
def test_processes_that_are_forked_may_write(tmp_path: Path):
    """The line's thread holds no lock in a child, whenever that is forked."""
    program = COMMAND.replace("time.sleep(0.02)", "fork()").replace("{end}", "") + ""
    program = program.replace(
        "def main",
        "import os\ndef fork():\n"
        "    for _ in range(20):\n"
        "        if not (child := os.fork()): print('child', file=sys.stderr, flush=True); os._exit(0)\n"
        "        os.waitpid(child, 0)\n"
        "def main",
    )
    said = on_a_terminal([sys.executable, "-c", program, "(0.0, 9)"])
    assert said.count("child") == 20 * 30
