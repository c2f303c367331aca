"""The shell around every command in workflow/scripts: usage, log file, exit codes.

    if __name__ == "__main__":
        command.run(build_parser(), main)

Exit codes: 0 the whole output is in place, 2 wrong usage, 3 interrupted with a resumable state
saved, 1 anything else. `main(args)` returns nothing and raises `Problem` for what a user can cure.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from distillery.problems import Problem


def run(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], None], sampled: bool = False
) -> None:
    """Parse sys.argv, call `main`, exit with the code its outcome deserves.

    With `sampled` memory, CPU and NPU use go to LOG's stem with .samples.jsonl while it runs.
    """
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write all output to FILE (folders are made) instead of the terminal; errors go to both",
    )
    args = parser.parse_args()
    terminal = _redirect(args.log) if args.log else None
    try:
        with _sampler(args.log) if sampled and args.log else nullcontext():
            main(args)
    except Problem as problem:
        _say(f"{parser.prog}: error: {problem}", terminal)
        code = problem.exit_code
    except KeyboardInterrupt:
        _say(f"{parser.prog}: interrupted, nothing half-written was left", terminal)
        code = 1
    except Exception:
        _say(traceback.format_exc().rstrip(), terminal)
        _say(f"{parser.prog}: error: the above is a defect of this command, not of its input", terminal)
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


def _sampler(log: Path) -> AbstractContextManager:
    # named at run time: a change of the sampler changes no result, so it must make none stale
    sampling = importlib.import_module("distillery.resource_samples")
    return sampling.Sampler(log.with_suffix(".samples.jsonl"), sampling.visible(os.environ))


def _redirect(log: Path) -> int:
    """Point file descriptors 1 and 2 at `log`, native libraries' output included.

    Returns a descriptor of the former standard error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = os.dup(2)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(descriptor, stream.fileno())
    os.close(descriptor)
    return terminal


def _say(text: str, terminal: int | None) -> None:
    print(text, file=sys.stderr, flush=True)
    if terminal is not None:
        os.write(terminal, (text + "\n").encode())
