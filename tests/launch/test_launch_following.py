"""What a launch tells of a training by lines in its ranks' logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from distillery import progress
from distillery.launch.following import Follower

LINE = (
    " [2025-09-01 12:00:00] iteration        3/      30 | consumed samples:           24 | "
    "elapsed time per iteration (ms): 10.0 | lm loss: 5.000000E-01 |\n"
)


@pytest.mark.parametrize(
    ("worker", "speed"),
    [
        (("posttrain_gpt.py", "--seq-length", "128"), "102400 tokens/s"),
        (("posttrain_gpt.py", "--seq-length", "128", "--variable-seq-lengths"), "800.0 samples/s"),
        (("of_others.py", "--seq-length", "8k"), "800.0 samples/s"),
        (("of_others.py", "--seq-length"), "800.0 samples/s"),
    ],
)
def test_the_speed_is_in_tokens_where_rows_have_one_length(tmp_path: Path, worker, speed):
    log = tmp_path / "worker_0.log"
    log.write_text(LINE)
    Follower({0: log}, str, dict, worker).look(final=True)
    assert progress.current().line() == f"3/30 steps  loss 0.5000  {speed}"
