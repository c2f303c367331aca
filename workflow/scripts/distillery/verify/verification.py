"""What verify.py does: a second run that is compared, or, quickly, the recorded digests."""

from __future__ import annotations

import argparse

from distillery import config, reproduction
from distillery.verify import quick_check, served_results


def run(args: argparse.Namespace) -> str:
    """Do what verify.py's flags ask; returns what was compared.

    Raises:
        Problem: as `quick_check.run` and `reproduction.run`.
    """
    loaded = config.read(args.configfile)
    if args.quick:
        return str(quick_check.run(loaded))
    return str(reproduction.run(args, served_results.of(loaded)))
