"""What finished experiments reached."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery import artefacts, config, json_files


def run(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, summary, path of the report) of each experiment of evaluate_scores.py's configuration."""
    for name in config.read(args.configfile).experiments:
        summary, report = (one.at(experiment=name) for one in (artefacts.SUMMARY, artefacts.REPORT))
        yield name, json_files.read(Path(summary)), report
