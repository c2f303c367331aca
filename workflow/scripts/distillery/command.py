"""The shell around every command in workflow/scripts: usage, log file, exit codes.

    if __name__ == "__main__":
        command.run(build_parser(), main)

Exit codes: 0 the whole output is in place, 2 wrong usage, 3 interrupted with a resumable state
saved, 1 anything else. `main(args)` returns nothing and raises `Problem` for what a user can cure.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from distillery import blas_threads, cpu_limit
from distillery.addresses import masked
from distillery.interpreter import of_interpreter
from distillery.problems import Problem, of_system, refusal, writing
from distillery.terminal_text import printable, shown

_endings: list[Callable[[int], None]] = []


def at_end(call: Callable[[int], None]) -> None:
    """Have `call` told the exit code when the command has done and said all, and only Python's own end is left."""
    _endings.append(call)


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """An empty parser of a command; `--help` shows the command's docstring as it is written, usage lines included."""
    return argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )


def named_file(text: str) -> tuple[str, Path]:
    """The type of a flag that takes NAME=FILE.

    Raises:
        ArgumentTypeError: one of the two is missing.
    """
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(
            f"found {text!r}, wanted a name and a file, such as NAME=folder/file"
        )
    return name, Path(path)


def run(
    parser: argparse.ArgumentParser,
    main: Callable[[argparse.Namespace], None],
    sampled: bool = False,
    leads: bool = True,
) -> None:
    """Parse sys.argv, call `main`, exit with the code its outcome deserves.

    Args:
        sampled: memory, CPU and NPU use go to LOG's stem with .samples.jsonl while it runs.
        leads: False for a command whose processes have the progress to tell.
    """
    parser.add_argument(
        "--log",
        type=Path,
        metavar="FILE",
        help="write all output to FILE (folders are made) instead of the terminal; errors go to both",
    )
    cpu_limit.heed()
    blas_threads.limit()
    sys.stderr = shown(sys.stderr)  # flags may hold anything too
    args = parser.parse_args()
    terminal: int | None = None
    code, starved = 0, False
    try:
        terminal = _redirect(args.log) if args.log else None
        if args.log or sys.stdout.isatty():  # what goes to a pipe is data
            sys.stdout = shown(sys.stdout)
        with (
            _live(parser.prog, args.log, leads),
            _sampler(args.log) if sampled and args.log else nullcontext(),
        ):
            main(args)
        with writing(args.log or "standard output"):
            sys.stdout.flush()
        if args.log:
            _note(args.log)
    except BaseException as error:
        text, code = _told(error, parser.prog)
        _say(text, terminal)
        starved = getattr(refusal(error), "errno", None) == errno.ENOMEM
    _end(code, starved)


def _told(error: BaseException, prog: str) -> tuple[str, int]:
    """(what to say, exit code) of whatever ended a command; SystemExit goes on as it is."""
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, KeyboardInterrupt):
        return f"{prog}: interrupted, nothing half-written was left", 1
    if refused := refusal(error):
        error = of_system(refused)
    elif isinstance(error, cpu_limit.Spent):
        error = cpu_limit.problem()
    elif type(error).__name__ == "PanicException":  # of a library in Rust; it is no Exception
        error = Problem(
            "a library gave up on its input",
            found=error,
            fix="look for a damaged input file, and make it again",
        )
    elif isinstance(error, ImportError) and not str(error.name).startswith("distillery"):
        error = of_interpreter(error)
    if isinstance(error, Problem):
        return f"{prog}: error: {error}", error.exit_code
    trace = "".join(traceback.format_exception(error)).rstrip()
    return f"{trace}\n{prog}: error: the above is a defect of this command, not of its input", 1


def _end(code: int, starved: bool) -> None:
    """Leave with this code; without the rest of the output where its disk is full or its reader has gone.

    Args:
        starved: memory was wanting. OpenBLAS' thread asks for some in a loop then, and an orderly end would wait for it.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 1
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), stream.fileno()
            )  # else Python says so once more, with 120
    for call in _endings:
        call(code)
    if starved:
        os._exit(code)
    sys.exit(code)


# named at run time, all three: a change of what is shown or measured changes no result, so it must make none stale
def _live(name: str, log: Path | None, leads: bool) -> AbstractContextManager:
    return importlib.import_module("distillery.live").Live(name, log, leads)


def _sampler(log: Path) -> AbstractContextManager:
    sampling = importlib.import_module("distillery.resource_samples")
    return sampling.Sampler(sampling.beside(log), sampling.visible(os.environ))


def _note(log: Path) -> None:
    importlib.import_module("distillery.loaded_packages").note(log)


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
    """To the terminal first: the log may be on the disk that is full."""
    line = f"{printable(masked(text))}\n"
    if terminal is not None:
        with suppress(OSError):
            os.write(terminal, line.encode())
    with suppress(OSError):
        sys.stderr.write(line)
        sys.stderr.flush()
