"""Show what runs here, again and again: devices, and jobs with their state, how far they are, memory and CPU.

    python workflow/scripts/watch.py                 every two seconds, until Ctrl-C
    python workflow/scripts/watch.py --once          one look, for scripts

Devices are those of `npu-smi info`; jobs are the logs below logs/ that changed in the last --minutes. A job is running,
finished, failed, stopped (saved, and to be continued) or died (killed without a word).
"""

import argparse
from pathlib import Path

from distillery import command, ranges


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--logs", type=Path, default=Path("logs"), help="the workflow's log folder (default: logs)"
    )
    parser.add_argument(
        "--interval",
        type=ranges.reader(ranges.number(0.1)),
        default=2.0,
        metavar="S",
        help="seconds between looks",
    )
    parser.add_argument(
        "--minutes",
        type=ranges.reader(ranges.number(0.1)),
        default=10.0,
        metavar="N",
        help="show logs that changed in the last N minutes",
    )
    parser.add_argument("--once", action="store_true", help="look once and end")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch import watching

    watching.run(args)


if __name__ == "__main__":
    command.run(parser(), main, leads=False)
