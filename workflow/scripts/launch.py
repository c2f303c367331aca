"""Start a command on several devices or nodes through msrun, watch it, and end with its true status.

    python workflow/scripts/launch.py --workers 2 --log-dir logs/two -- workflow/scripts/posttrain_gpt.py --help

Takes free devices and a free port, sources set_env, prints the exact lines it runs (paste them to do the same by
hand), shows the rank that holds the loss, and passes SIGTERM, SIGUSR1 and Ctrl-C on as a chance to save. Ends
with 0 if every rank succeeded and every --expect file is there, 3 if the workers saved after a signal, else 1
with the first error of any rank and its log. Under Slurm a job of several nodes starts itself on each by srun.
"""

import argparse
import sys

from distillery import command


def parser() -> argparse.ArgumentParser:
    from distillery.launch import launch_request

    parser = command.parser(__doc__)
    launch_request.add_flags(parser)
    parser.add_argument(
        "worker", nargs="+", help="after --: [python] script arguments; its --log is this command's"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.launch import launcher

    launcher.run(args)


if __name__ == "__main__":
    from distillery.launch.launch_request import arguments

    sys.argv[1:] = arguments(sys.argv[1:])
    command.run(parser(), main, leads=False)
