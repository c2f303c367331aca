"""One screen of a running workflow: devices, processes, last loss lines."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from distillery import live, resource_samples
from distillery.launch.launch_request import RANKS
from distillery.problems import Interrupted
from distillery.terminal_text import drawn, printable

TAIL_BYTES = 65536
# Megatron's line, and the built-in engine's
STEP = re.compile(r"iteration +\d+/|^step \d+/\d+")
RUNNING, DIED, FAILED, STOPPED, FINISHED = STATES = "running", "died", "failed", "stopped", "finished"
LOSS = re.compile(r"(?:iteration|step) +(\d+)/ *(\d+).*?\bloss:? +([0-9.E+-]+)")


def run(args: argparse.Namespace) -> None:
    """Draw `screen` until interrupted; without a terminal, or once, print it."""
    console, logs, minutes = Console(file=drawn(sys.stdout)), args.logs, args.minutes
    if args.once or not console.is_terminal:
        console.print(screen(logs, minutes))
        return
    with Live(screen(logs, minutes), console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(args.interval)
                live.update(screen(logs, minutes), refresh=True)
        except KeyboardInterrupt:
            return


def screen(logs: Path, minutes: float) -> Group:
    """What `make watch` shows at this moment: devices, and jobs whose logs changed in the last `minutes`."""
    return Group(_devices(), _jobs(logs, minutes))


def _devices() -> Table:
    table = Table(title="devices")
    for column in ("NPU", "chip", "health", "AI core %", "HBM MB", "W", "°C"):
        table.add_column(column, justify="right")
    try:
        found = resource_samples.chips()
    except subprocess.SubprocessError as error:
        table.caption = printable(f"npu-smi does not answer: {error}")
        return table
    for chip in found:
        memory = f"{chip['hbm_used']} / {chip['hbm_total']}"
        cells = (
            chip["npu"],
            chip["chip"],
            chip["health"],
            chip["aicore"],
            memory,
            chip["power"],
            chip["temperature"],
        )
        table.add_row(*("-" if cell is None else _cell(cell) for cell in cells))
    if not table.rows:
        table.caption = "no npu-smi here"
    return table


def _jobs(logs: Path, minutes: float) -> Table:
    """Jobs by what became of them, those that run first; of several nodes the first one's use.

    Of those that have ended well, the ones that train or are sampled.
    """
    table = Table(title="jobs", expand=True)
    for name, share in (("job", 2), ("state", None), ("so far", 3), ("MB", None), ("CPU %", None)):
        side = "right" if name in ("MB", "CPU %") else "left"
        table.add_column(name, ratio=share, justify=side, no_wrap=share is None, overflow="fold")
    found = []
    for log in recent(logs, minutes):
        said, use = live.read(log), resource_samples.last(resource_samples.beside(log))
        state, step = state_of(said), last_step(log)
        if state != FINISHED or step or use:
            far = said.get("line") or (step and "{}/{} steps  loss {}".format(*step)) or ""
            cells = (use.get(key, "-") for key in ("memory_megabytes", "cpu_percent"))
            found.append((state, log.relative_to(logs).with_suffix(""), state, far, *cells))
    for _, *cells in sorted(found, key=lambda row: STATES.index(row[0])):
        table.add_row(*map(_cell, cells))
    if not table.rows:
        table.caption = printable(
            f"no job that trains or answers below {logs} in the last {minutes:g} minutes"
        )
    return table


def state_of(said: Mapping[str, Any]) -> str:
    """What became of the command that said this beside its log (`live.read`): one of STATES."""
    if not said:
        return FINISHED
    if "ended" in said:
        return STOPPED if said["ended"] == Interrupted.exit_code else FAILED
    return RUNNING if live.goes_on(said) else DIED


def _cell(value: object) -> Text:
    return Text(printable(str(value)))  # no markup either


def recent(logs: Path, minutes: float) -> Iterator[Path]:
    """Logs that changed lately, ranks' own logs and former attempts left out, newest last."""
    oldest = time.time() - 60 * minutes
    found = [(path.stat().st_mtime, path) for path in logs.rglob("*.log") if not _of_rank(path)]
    yield from (path for changed, path in sorted(found) if changed > oldest)


def _of_rank(path: Path) -> bool:
    return any(folder.name == "previous" or folder.name.startswith(RANKS) for folder in path.parents[:2])


def last_step(log: Path) -> tuple[str, str, str] | None:
    """(step, steps, loss) of the last training line in a log's tail."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        if STEP.search(line) and (match := LOSS.search(line)):
            return match[1], match[2], match[3]
    return None
