"""The flags that the fetching commands share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from distillery import addresses, ranges

if TYPE_CHECKING:
    from distillery.fetch.transfer import Policy


def add_fetching(parser: argparse.ArgumentParser) -> None:
    """The flags of every command that fetches what a lock names."""
    parser.add_argument("--lock", type=Path, required=True, metavar="FILE", help="of fetch_lock.py")
    parser.add_argument(
        "--endpoint",
        type=addresses.kept,
        action="append",
        default=[],
        metavar="URL",
        help="hub or mirror; repeat in the order to try",
    )
    add_offline(parser, "fail at once with the list of what is missing")
    parser.add_argument(
        "--retries",
        type=ranges.reader(ranges.whole(0)),
        default=5,
        help="tries without a new byte before an address is left",
    )
    parser.add_argument(
        "--backoff",
        type=ranges.reader(ranges.number(0)),
        default=1.0,
        help="seconds before the first retry, then doubled",
    )
    parser.add_argument(
        "--timeout",
        type=ranges.reader(ranges.number(0.01)),
        default=30.0,
        help="seconds of silence or slowness to bear",
    )
    parser.add_argument(
        "--min-speed",
        type=ranges.reader(ranges.whole(0)),
        default=1024,
        help="bytes a second below which an address is left",
    )


def add_offline(parser: argparse.ArgumentParser, text: str) -> None:
    """--offline, which huggingface_hub's own variable HF_HUB_OFFLINE sets too."""
    set_ = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    parser.add_argument(
        "--offline", action="store_true", default=set_, help=f"{text} (also HF_HUB_OFFLINE=1)"
    )


def policy(args: argparse.Namespace) -> Policy:
    """How often and how long a transfer is tried, as those flags say."""
    from distillery.fetch.transfer import Policy

    return Policy(args.retries, args.backoff, args.timeout, args.min_speed)
