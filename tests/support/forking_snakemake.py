"""Snakemake in a process that is forked: its jobs, and those that it submits to a scheduler, ask `forked.py` for forks, too."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from places import SUPPORT

PYTHON = str(Path(sys.prefix, "bin", "python"))  # as workflow/rules/common.smk says it


def import_snakemake() -> None:
    """Import what a run needs."""
    # what a dry run imports, too, and the flags of all plugins
    import jsonschema  # noqa: F401
    import smart_open  # noqa: F401
    import snakemake.cli
    import snakemake.report
    import snakemake.scheduling.job_scheduler
    import snakemake.workflow
    import yte  # noqa: F401

    snakemake.cli.get_argument_parser()


def fork_submitted(name: str) -> None:
    """Have the lines that Snakemake submits to a scheduler call `forked_job.py`, for a Snakemake forked as this one was."""
    asker = Path(f"{name}-python")  # without a blank: Snakemake quotes no interpreter
    words = [sys.executable, "-IS", str(SUPPORT / "forked_job.py"), name, sys.executable]
    asker.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    asker.chmod(0o755)
    sys.executable = str(asker)


def asked(line: str, folder: str) -> str:
    """A job's line as a shell may take it without `fork_jobs`: what it starts Python for is forked.

    Args:
        folder: as `forked.jobs` names it in the environment.

    Raises:
        AssertionError: it does not begin with this environment's Python.
    """
    head = f"{shlex.quote(PYTHON)} "
    assert line.startswith(head), line
    return f"{_asking(folder)} {line.removeprefix(head)}"


def _asking(folder: str) -> str:
    """What stands in Python's place."""
    return shlex.join([sys.executable, "-IS", str(SUPPORT / "forked_job.py"), folder, PYTHON])


def fork_jobs(folder: str) -> None:
    """Have the shells of Snakemake's jobs call `forked_job.py` where their lines say this environment's Python."""
    from snakemake.shell import shell

    if not re.fullmatch(r"[\w./-]+", PYTHON):
        return  # no name for a function: jobs start as ever
    text = f'{PYTHON}() {{ command {_asking(folder)} "$@"; }}; set -euo pipefail; '
    shell.prefix(text.replace("{", "{{").replace("}", "}}"))
