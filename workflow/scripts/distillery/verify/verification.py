"""What verify.py does: a second run that is compared, or, quickly, the recorded digests."""

from __future__ import annotations

import argparse

from distillery import config, reproduction
from distillery.verify import quick_check


def run(args: argparse.Namespace) -> str:
    """Do what verify.py's flags ask; returns what was compared.

    Raises:
        Problem: as `quick_check.run` and `reproduction.run`.
    """
    if args.quick:
        return str(quick_check.run(config.read(args.configfile)))
    return f"{reproduction.run(args)} files are byte-identical in both runs"
