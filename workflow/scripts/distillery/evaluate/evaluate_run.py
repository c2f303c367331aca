"""What score.py does: score a file of generations, or hold a problem set's golds against themselves."""

from __future__ import annotations

import argparse

from distillery.evaluate import measures, scoring, self_check
from distillery.problems import UsageProblem


def run(args: argparse.Namespace) -> str:
    """Do what score.py's flags ask; returns lines that say what came of it.

    Raises:
        UsageProblem: neither generations with an output, nor --self-check.
        Problem: as `scoring.score_file` and `self_check.report`.
    """
    if args.self_check:
        return self_check.report(args.problems, args.output, args.workers, args.cpu_seconds)
    if not args.generations or not args.output:
        raise UsageProblem(
            "scoring needs generations and an output", wanted="--generations and --output, or --self-check"
        )
    scores = scoring.score_file(
        args.generations,
        args.problems,
        args.output,
        args.workers,
        args.cpu_seconds,
        args.plain_math_verify,
        args.overrules,
    )
    return "\n".join([f"{args.output}: {scoring.counts(scores)}", *measures.lines(scores)])
