"""What Snakemake says while it runs: a line for each job that has ended, and below them how far the others are.

    run_view.install(workflow)       # in the Snakefile of a run

Warnings and errors stay Snakemake's own, and so does all that it says with --verbose, --quiet or in a dry run. Its log below
.snakemake/log holds everything in any case.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery import live, live_lines
from distillery.progress import clock
from distillery.provenance import SCRIPTS
from distillery.terminal_text import printable

DEFAULT = "DefaultStreamHandler"  # Snakemake's own, in the absence of a plugin
# how it goes about things; what comes of them is shown here
IDLE = (
    "Building DAG",
    "Using shell",
    "Provided",
    "Rules claiming",
    "Conda environments",
    "Singularity containers",
    "Group jobs",
    "Select jobs",
    "Execute ",
    "Assuming unrestricted",
    "Removing temporary",
)
SHORT = 9.5  # seconds below which tenths are told
FIRST, LATER = (
    3.0,
    live.SILENCE,
)  # seconds before a job is shown; between lines about it where there is no terminal


@dataclass
class Running:
    """A job that has started.

    Attributes:
        name: rule and wildcards.
        logs: its log files, where there are any.
        began, said: time of its start and of the last line about it, as time.monotonic gives it.
    """

    name: str
    logs: list[Path]
    began: float = field(default_factory=time.monotonic)
    said: float = field(default_factory=time.monotonic)

    def line(self, now: float) -> str:
        """Its name, how long it has run, and how far it says it is."""
        told = next(
            (said["line"] for log in self.logs if (said := live.read(log)) and "ended" not in said), ""
        )
        return printable(f"{self.name}  {clock(now - self.began)}  {told}".rstrip())


class View(logging.Handler):
    """In the place of Snakemake's handler for the terminal, to which it hands on what is not about single jobs."""

    def __init__(self, own: logging.StreamHandler, commands: bool) -> None:
        super().__init__()
        self.own, self.commands = own, commands
        self.jobs: dict[int, Running] = {}
        self.done, self.total = 0, 0
        self._terminal = own.stream.isatty()
        self._thread = threading.Thread(target=self._watch, name="run view", daemon=True)
        self._stop = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """A record of Snakemake's, at once."""
        event = str(getattr(record, "event", None) or "")
        seen = getattr(self, f"_{event}", None)
        if record.levelno >= logging.WARNING or seen is None:
            if record.levelno >= logging.WARNING or not str(record.msg or "").lstrip().startswith(IDLE):
                self._own(record)
            self._ended(record.__dict__)
            return
        try:
            seen(record.__dict__)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """The run is over."""
        self._stop.set()
        live_lines.erase()
        super().close()

    def _own(self, record: logging.LogRecord) -> None:
        with live_lines.LOCK:
            live_lines.erase()
            self.own.handle(record)

    def _say(self, line: str) -> None:
        with live_lines.LOCK:
            live_lines.erase()
            self.own.stream.write(f"{line}\n")
            self.own.stream.flush()

    def _run_info(self, found: Mapping[str, Any]) -> None:
        self.total = found.get("stats", {}).get("total", 0)
        self._say(f"{self.total} jobs to run")

    def _job_info(self, found: Mapping[str, Any]) -> None:
        named = ", ".join(str(one) for one in found["wildcards"].values())
        self.jobs[found["jobid"]] = Running(
            f"{found['rule_name']} {named}".rstrip(), list(map(Path, found["log"]))
        )
        if not self._thread.is_alive() and not self._stop.is_set():
            self._thread.start()

    def _shellcmd(self, found: Mapping[str, Any]) -> None:
        if self.commands and found.get("shellcmd"):
            self._say(printable(found["shellcmd"]))

    def _job_finished(self, found: Mapping[str, Any]) -> None:
        self.done += 1
        job = self.jobs.pop(found["job_id"], None)
        if job is not None:
            width = len(str(self.total))
            seconds = time.monotonic() - job.began
            took = clock(seconds) if seconds >= SHORT else f"{seconds:.1f} s"
            self._say(printable(f"[{self.done:{width}}/{self.total}] {took:>7}  {job.name}"))

    def _progress(self, found: Mapping[str, Any]) -> None:
        if self.done == self.total:  # Snakemake's total may count jobs that it leaves alone
            self._say(f"{self.done} of {self.total} steps (100%) done")

    def _ended(self, found: Mapping[str, Any]) -> None:
        """Of a job that failed nothing is to be expected."""
        if found.get("event") == "job_error":
            self.jobs.pop(found["jobid"], None)

    def _unshown(self, found: Mapping[str, Any]) -> None:
        """About single jobs, or of no news."""

    _group_info = _job_started = _resources_info = _workflow_started = _debug_dag = _rulegraph = _unshown

    def _watch(self) -> None:
        while not self._stop.wait(live.TICK):
            now = time.monotonic()
            long = [job for job in list(self.jobs.values()) if now - job.began >= FIRST]
            if self._terminal:
                live_lines.draw(self.own.stream.fileno(), [job.line(now) for job in long])
                continue
            for job in long:
                if now - job.said >= LATER:
                    job.said = now
                    self._say(job.line(now))


def install(workflow: Any, line: Iterable[str]) -> None:
    """Show a run's jobs so, if it runs any, if it is this workflow's, and if nothing else is asked for.

    Args:
        workflow: Snakemake's.
        line: the command's words; -p asks for commands.
    """
    asked = workflow.output_settings
    main = Path(os.fspath(workflow.main_snakefile)).parent
    ours = main in (SCRIPTS.parents[1], SCRIPTS.parent)
    if not ours or asked.dryrun or asked.verbose or asked.debug_dag or asked.quiet:
        return
    logger = workflow.logger_manager.logger
    for handler in list(logger.handlers):
        if handler.name == DEFAULT and isinstance(handler, logging.StreamHandler):
            view = View(handler, bool({"-p", "--printshellcmds"}.intersection(line)))
            view.setLevel(handler.level)
            for one in handler.filters:
                view.addFilter(one)
            logger.removeHandler(handler)
            logger.addHandler(view)
