"""What finished experiments reached."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery import artefacts, config, digests, set_artefacts


def run(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(name, summary, path of the report) of each problem set of each experiment of evaluate_scores.py's configuration.

    The name is the experiment's, with the problem set's behind a colon where there are several.
    """
    for name, experiment in config.read(args.configfile).experiments.items():
        for problems in experiment.asked:
            summary, report = (
                set_artefacts.of_set(one, experiment, problems).path
                for one in (artefacts.SUMMARY, artefacts.REPORT)
            )
            said = f"{name}:{problems}" if len(experiment.asked) > 1 else name
            yield said, digests.read_json(Path(summary)), report
