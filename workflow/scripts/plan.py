"""Check a configuration and say what it will take: memory, time, disk and tokens, before anything runs.

    python workflow/scripts/plan.py --configfile config/qwen2.5-math-7b.yaml
    python workflow/scripts/plan.py --configfile config/config.yaml --json > plan.json

Needs neither NPU nor downloads. Findings come first, one a line, errors before warnings; with errors it ends
there and exits 1. JSON holds the same, and every job with its exact command, the line of msrun that it starts
where it has ranks, its figures, and whether it is due.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from distillery import command
from distillery.problems import Problem


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"), metavar="FILE.yaml")
    parser.add_argument("--snakefile", type=Path, default=Path(__file__).resolve().parents[2] / "Snakefile")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery import config
    from distillery.planning import checks, plan_tables

    loaded = config.read(args.configfile)
    findings = checks.run(loaded)
    errors = sum(finding.severity == "error" for finding in findings)
    if not args.json:
        print(*findings, sep="\n", end="\n" if findings else "")
    if errors:
        if args.json:
            print(json.dumps({"findings": [dataclasses.asdict(one) for one in findings]}, indent=2))
        raise Problem(
            f"the plan has {errors} errors", where=args.configfile, fix="cure those lines, then plan again"
        )
    plan = plan_tables.build(loaded, findings, args.snakefile, args.configfile, Path.cwd())
    print(json.dumps(plan, indent=2, ensure_ascii=False) if args.json else plan_tables.text(plan))


if __name__ == "__main__":
    command.run(parser(), main)
