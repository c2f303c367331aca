"""The graph of rules that lead to some targets, as a second Snakemake sees them."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

from distillery.digests import write_text
from distillery.problems import Problem


def run(args: argparse.Namespace) -> None:
    """Write the graph that report_rulegraph.py's flags ask for, in dot.

    Raises:
        Problem: Snakemake could not draw it.
    """
    asked = [sys.executable, "-m", "snakemake", *args.target, "--rulegraph", "dot", "--quiet", "all"]
    asked += ["--snakefile", str(args.snakefile)]
    asked += ["--configfile", *map(str, args.configfile)] if args.configfile else []
    asked += ["--config", *args.config] if args.config else []
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
