"""The locks that a configuration names (`lock: config/locks/x.json`), asked of the hubs anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from distillery import config
from distillery.fetch import listing, locking, source_flags
from distillery.fetch.listing import Listing


def run(args: argparse.Namespace) -> Iterator[tuple[Path, Listing]]:
    """Write each lock in its place, and yield both.

    Raises:
        Problem: as `locking.lock`; the locks before it are written.
    """
    loaded = config.read(args.configfile)
    for name, source in source_flags.locked(loaded).items():
        if "lock" in source.settings:
            path = Path(source.settings["lock"])
            made = locking.lock(
                source_flags.asked(name, source),
                patterns=source_flags.patterns(source),
                endpoints=source.settings.get("endpoints", []),
                known=listing.read(path) if path.is_file() and not args.anew else None,
                offline=loaded.offline,
            )
            listing.write(path, made)
            yield path, made
