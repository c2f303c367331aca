"""Read MindSpeed-LLM's shell scripts and write the configuration that they amount to; nothing of them is run.

    python workflow/scripts/import_scripts.py tune_x.sh data_convert_x.sh ckpt_convert_x_hf2mcore.sh generate_x.sh \\
        > config/mine.yaml

The configuration goes to standard output. Every contradiction between the scripts goes to standard error as findings
of a plan do, with script:line in place of keys, and with them what no key of ours holds; both are complete whatever
was found. Exits 1 while errors remain.
"""

import argparse
import sys
from pathlib import Path

from distillery import command


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "scripts", nargs="+", type=Path, metavar="SCRIPT.sh", help="scripts of one experiment"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.shell import importing

    imported = importing.run(args)
    print(imported.text, end="")
    for line in imported.lines():
        print(line, file=sys.stderr)
    imported.refuse()


if __name__ == "__main__":
    command.run(parser(), main)
