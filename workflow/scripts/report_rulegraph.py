"""Write the graph of rules that lead to some targets, in dot, edges sorted.

An edge is left out where a longer way leads from its one end to the other: what remains can be read.

    python workflow/scripts/report_rulegraph.py --snakefile Snakefile --configfile config/config.yaml \\
        --target results/experiments/embedded/{comparison,hf.proof}.json --output rulegraph.dot
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from distillery import command
from distillery.files import write_text
from distillery.problems import Problem


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--snakefile", type=Path, required=True)
    parser.add_argument("--configfile", type=Path, nargs="+", required=True)
    parser.add_argument("--target", nargs="+", required=True, help="files that the workflow makes")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.dot")
    return parser


def main(args: argparse.Namespace) -> None:
    asked = [sys.executable, "-m", "snakemake", *args.target, "--rulegraph", "dot", "--quiet", "all"]
    asked += ["--snakefile", str(args.snakefile), "--configfile", *map(str, args.configfile)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Problem("Snakemake could not draw its rules", found=answer.stderr.strip())
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', answer.stdout, re.MULTILINE))
    edges = {(names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)$", answer.stdout, re.MULTILINE)}
    lines = [f'  "{name}";' for name in sorted(set(names.values()))]
    lines += [f'  "{a}" -> "{b}";' for a, b in sorted(reduced(edges))]
    write_text(args.output, "\n".join(["digraph rules {", *lines, "}", ""]))


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges of an acyclic graph that no longer way implies."""

    def reachable(start: str) -> set[str]:
        nexts = {b for a, b in edges if a == start}
        return nexts.union(*map(reachable, nexts))

    return {(a, b) for a, b in edges if not any(b in reachable(c) for x, c in edges if x == a and c != b)}


if __name__ == "__main__":
    command.run(parser(), main)
