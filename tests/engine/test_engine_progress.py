"""What a run shows on a terminal of 80 columns, and in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from places import SCRIPTS

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from distillery.engine.train_progress import Display
record = {"loss": 11.93214, "lr": 1.25e-6, "grad_norm": 12.3456, "tokens_per_second": 123456.7}
if sys.argv[2] == "throughput":
    record["tflops"] = 123.4567
display = Display(20000, 9999, 1)
display.step(10000, record)
display.say("step 10000  evaluation loss 1.2345")
display.close()
"""


@pytest.mark.parametrize("throughput", ["plain", "throughput"])
def test_the_bar_fits_a_terminal_of_80_columns(throughput):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    line = [sys.executable, "-c", PROGRAM, str(SCRIPTS), throughput]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": ""}
    with subprocess.Popen(line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0, shown
    lines = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", shown.decode()).replace("\r", "\n").split("\n")
    last = [text for text in lines if "10000/20000" in text][-1]
    assert len(last) <= 80
    assert re.match(r"10000/20000 [━╸╺]{8,} ", last), last
    assert "loss 11.9321  123457 tokens/s" in last
    assert ("123.457 TFLOP/s" in last) == (throughput == "throughput")
    assert "step 10000  evaluation loss 1.2345" in [text.rstrip() for text in lines]


def test_a_log_gets_whole_lines():
    line = [sys.executable, "-c", PROGRAM, str(SCRIPTS), "throughput"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        "step 10000/20000  loss 11.9321  lr 1.25e-06  grad norm 12.346  123457 tokens/s  123.457 TFLOP/s",
        "step 10000  evaluation loss 1.2345",
    ]
