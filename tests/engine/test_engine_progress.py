"""What a training says in its log, and of its progress."""

from __future__ import annotations

import subprocess
import sys

from places import SCRIPTS

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from distillery.engine.train_progress import Display
record = {"loss": 11.93214, "lr": 1.25e-6, "grad_norm": 12.3456, "tokens_per_second": 123456.7, "tflops": 123.4567}
display = Display(20000, 9999, 1)
display.step(10000, record)
display.say("step 10000  evaluation loss 1.2345")
from distillery import progress
print(progress.current().line())
"""


def test_a_log_gets_whole_lines():
    line = [sys.executable, "-c", PROGRAM, str(SCRIPTS)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == [
        "step 10000/20000  loss 11.9321  lr 1.25e-06  grad norm 12.346  123457 tokens/s  123.457 TFLOP/s",
        "step 10000  evaluation loss 1.2345",
    ]
    assert done.stdout == "10000/20000 steps  loss 11.9321  123457 tokens/s  123.457 TFLOP/s\n"
