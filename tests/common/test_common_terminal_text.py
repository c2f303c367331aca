"""What commands print moves no cursor: on a real terminal, in a log, in an error."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT, SCRIPTS

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b1m\u202eback"
COMMAND = f"""
import sys; sys.path.insert(0, {str(SCRIPTS)!r})
from distillery import command
from distillery.problems import Problem
TEXT = {HOSTILE!r}
def main(args):
    print("said", TEXT); print("warned", TEXT, file=sys.stderr)
    sys.stdout.writelines(["listed", TEXT])
    raise Problem("wrong", found=TEXT)
command.run(command.parser("x"), main)
"""


def on_a_terminal(line: list[str], folder: Path) -> bytes:
    """All that a command writes to a terminal that is its standard output and error."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(line, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        try:
            while more := os.read(ours, 65536):
                said += more
        except OSError:  # the other end is closed
            pass
        process.wait()
    os.close(ours)
    return said.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("log", [[], ["--log", "log.txt"]])
def test_nothing_foreign_reaches_a_terminal_or_a_log_raw(tmp_path, log):
    said = on_a_terminal([sys.executable, "-c", COMMAND, *log], tmp_path)
    logged = (tmp_path / "log.txt").read_bytes() if log else said
    for text in (said, logged):
        assert not {0x1B, 0x07, 0x0D} & set(text) and b"\xe2\x80\xae" not in text and b"\xc2\x9b" not in text
        assert rb"\x1b]0;title\x07\x1b[2J\x9b1m\u202eback" in text
    assert all(word in logged for word in (b"said ", b"warned ", b"listed", b"wrong"))


def test_data_in_a_pipe_is_as_it_is(tmp_path):
    done = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, cwd=tmp_path, check=False)
    assert HOSTILE.encode() in done.stdout and b"\x1b" not in done.stderr


def test_a_flag_that_is_refused_is_printed(tmp_path):
    line = [sys.executable, SCRIPTS / "fetch_digest.py", "--input", "x", "--output", "y", HOSTILE]
    said = on_a_terminal(list(map(str, line)), tmp_path)
    assert b"unrecognized arguments" in said and b"\x1b" not in said


def test_a_plans_findings_are_printed(tmp_path):
    """A key that no terminal shows, in the words of Snakemake's own process."""
    text = (ROOT / "config/config.yaml").read_text().replace("seed: 1", 'seed: 1\n    "a\\eb": 1', 1)
    (tmp_path / "config.yaml").write_text(text)
    line = [sys.executable, str(SCRIPTS / "plan.py"), "--configfile", "config.yaml"]
    said = on_a_terminal(line, tmp_path)
    assert b"\x1b" not in said


def test_watch_shows_hostile_names_of_logs_as_text(tmp_path):
    log = tmp_path / "logs" / "a\x1b[2J[red]b.log"
    log.parent.mkdir()
    log.write_text("step 3/9  loss 1.5  lr 1.00e-03\n")
    said = on_a_terminal([sys.executable, str(SCRIPTS / "watch.py"), "--logs", "logs", "--once"], tmp_path)
    assert rb"\x1b[2J" in said and b"\x1b[2J" not in said and b"[red]" in said


def test_only_named_modules_write_past_the_printable_streams():
    """`drawn` is for bars and colours of our own; nobody writes to descriptors or Python's first streams."""
    users = {path.name for path in SCRIPTS.rglob("*.py") if "terminal_text import drawn" in path.read_text()}
    assert users == {"chat.py", "doctor.py", "watching.py"}
    for path in SCRIPTS.rglob("*.py"):
        text = path.read_text()
        assert "__stdout__" not in text and "__stderr__" not in text and "Console()" not in text, path
        assert path.name == "terminal_text.py" or "Console(stderr" not in text, path
