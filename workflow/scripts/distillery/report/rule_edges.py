"""The graph of rules that lead to some targets, as a second Snakemake sees them."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys

from distillery import process_limits
from distillery.digests import write_text
from distillery.problems import Problem, refusal

EXPORT = re.compile("convert_mcore_to_hf.*")  # the rules whose output a later stage starts from
TEACHER = re.compile("generate_teacher_answers.*")  # the rules that read another experiment's weights


def run(args: argparse.Namespace) -> None:
    """Write the graph that report_rulegraph.py's flags ask for, in dot.

    Raises:
        Problem: Snakemake could not draw it.
    """
    asked = [sys.executable, "-m", "snakemake", *args.target, "--rulegraph", "dot"]
    asked += ["--snakefile", str(args.snakefile)]
    asked += ["--configfile", *map(str, args.configfile)] if args.configfile else []
    asked += ["--config", *args.config] if args.config else []
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode:
        if refused := refusal(RuntimeError(answer.stderr)):  # among all that it says
            raise OSError(refused.errno, refused.strerror, f"Snakemake, which draws {args.snakefile}")
        last = answer.stderr.rstrip().rpartition("\n")[2]
        raise Problem(
            "Snakemake could not draw its rules",
            where=args.snakefile,
            found=f"{process_limits.ended(answer.returncode)}, and its last words: {last[-600:]}",
            wanted="a graph on its standard output",
            fix=f"see what it says: {shlex.join(asked)}",
        )
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', answer.stdout, re.MULTILINE))
    edges = {(names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)$", answer.stdout, re.MULTILINE)}
    lines = [f'  "{name}";' for name in sorted(set(names.values()))]
    lines += [f'  "{a}" -> "{b}";' for a, b in sorted(reduced(edges))]
    write_text(args.output, "\n".join(["digraph rules {", *lines, "}", ""]))


def reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that no longer way implies, without those that lead from a stage's weights back to where a next one begins.

    Rules stand for all experiments at once: where one starts from another, or learns from its answers, they form a circle.
    One that reads what it made of another dataset (select_rows, in a mix) has no edge to itself.
    """
    edges = {(a, b) for a, b in edges if a != b}
    back = {(a, b) for a, b in edges if EXPORT.fullmatch(a) or TEACHER.fullmatch(b)}
    forward = edges - {(a, b) for a, b in back if a in _reachable(edges, b)}
    nexts = {a: {b for x, b in forward if x == a} for a, _ in forward}
    behind = {name: _reachable(forward, name) for name in {b for _, b in forward}}
    return {(a, b) for a, b in forward if not any(b in behind[c] for c in nexts[a] - {b})}


def _reachable(edges: set[tuple[str, str]], start: str) -> set[str]:
    """What edges lead to from here; the start itself where they form a circle."""
    found: set[str] = set()
    todo = [start]
    while todo:
        at = todo.pop()
        new = {b for a, b in edges if a == at} - found
        found |= new
        todo += new
    return found
