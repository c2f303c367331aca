"""Start a command on several devices or nodes through msrun, watch it, and end with its true status.

    python workflow/scripts/launch.py --workers 2 --log-dir logs/two -- workflow/scripts/posttrain_gpt.py --help

Takes free devices and a free port, sources set_env, prints the exact lines it runs (paste them to do the same by
hand), shows the rank that holds the loss, and passes SIGTERM, SIGUSR1 and Ctrl-C on as a chance to save. Ends
with 0 if every rank succeeded and every --expect file is there, 3 if the workers saved after a signal, else 1
with the first error of any rank and its log. Under Slurm a job of several nodes starts itself on each by srun.
"""

import argparse
import sys
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = found.add_argument
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes on each node (default 1: without msrun)",
    )
    add("--nodes", type=int, default=1, metavar="N", help="nodes, each with that many workers")
    add("--npus", type=int, default=0, metavar="N", help="devices to take on each node (default 0: none)")
    add(
        "--granted-npus", type=int, metavar="N", help="what Snakemake granted for all nodes; less is an error"
    )
    add("--node-rank", type=int, default=0, help="this node's number where nodes are started by hand")
    add("--master-addr", default="127.0.0.1", help="address of node 0")
    add(
        "--master-port", type=int, default=6000, help="first port to try; several nodes take exactly this one"
    )
    add("--log-dir", type=Path, required=True, help="folder for worker_<rank>.log, scheduler.log, msrun.log")
    add("--cluster-time-out", type=int, default=600, metavar="S", help="seconds in which all ranks must come")
    add("--bind-core", action="store_true", help="each rank keeps to its own CPU cores")
    add(
        "--stall-timeout",
        type=float,
        default=3600,
        metavar="S",
        help="silence that counts as a hang; 0: never",
    )
    add("--grace", type=float, default=60, metavar="S", help="seconds to save in after a signal")
    add(
        "--stop-before",
        type=float,
        default=120,
        metavar="S",
        help="seconds before a Slurm limit to save and stop",
    )
    add(
        "--set-env", action="append", default=[], metavar="SCRIPT", help="script to source first (repeatable)"
    )
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="variable for the workers (repeatable)",
    )
    add("--python", metavar="FILE", help="the workers' interpreter, msrun beside it (default: this one)")
    add("--directory", type=Path, default=Path(), help="the workers' working directory")
    add("--metrics", type=Path, metavar="FILE", help="append metrics parsed from Megatron's log lines")
    add(
        "--samples",
        type=Path,
        metavar="FILE",
        help="resource samples (default: beside --log, .samples.jsonl)",
    )
    add("--expect", type=Path, action="append", default=[], metavar="FILE", help="must be there at the end")
    add("--print-only", action="store_true", help="print the lines and do not run them")
    add(
        "worker",
        nargs="+",
        help="after --: [python] script arguments; its --log is this command's",
    )
    return found


def main(args: argparse.Namespace) -> None:
    from distillery.launch import launcher

    launcher.main(args)


if __name__ == "__main__":
    from distillery.launch.launcher import arguments

    sys.argv[1:] = arguments(sys.argv[1:])
    command.run(parser(), main)
