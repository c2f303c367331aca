"""Set what was estimated beside what was measured, with the plan's findings, for an experiment's report.

    python workflow/scripts/plan_outcome.py --plan-json '{"estimate": {...}, "findings": []}' --checks checks.json \\
        --done results/experiments/embedded/train/done.json --data-manifest arithmetic_manifest.json \\
        --fetch resources/models/tiny-qwen2 --tokenize results/datasets/arithmetic/x --convert results/checkpoints/m/x \\
        --export results/experiments/embedded/hf --answers results/experiments/embedded/tuned.jsonl --output plan.json
"""

import argparse
import json
from pathlib import Path

from distillery import command

STEPS = ("fetch", "tokenize", "convert", "export")


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    it.add_argument(
        "--plan-json", type=json.loads, required=True, metavar="JSON", help="estimate and findings"
    )
    it.add_argument("--checks", type=Path, required=True, metavar="FILE.json", help="of check_sources.py")
    it.add_argument("--done", type=Path, required=True, metavar="FILE.json", help="of the training")
    it.add_argument("--data-manifest", type=Path, required=True, metavar="FILE.json")
    it.add_argument("--answers", type=Path, required=True, metavar="FILE.jsonl", help="of the tuned model")
    for step in STEPS:
        it.add_argument(
            f"--{step}", type=Path, nargs="+", required=True, metavar="DIR", help=f"what {step} left"
        )
    it.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    return it


def main(args: argparse.Namespace) -> None:
    from distillery import files
    from distillery.planning import outcome

    checks = files.read_json(args.checks)
    rows = outcome.compare(
        args.plan_json["estimate"],
        outcome.read_metrics(args.done),
        files.read_json(args.data_manifest),
        {
            **{step: getattr(args, step) for step in STEPS},
            "train": [outcome.work(args.done)],
            "answer": [args.answers],
        },
        outcome.answered(args.answers),
    )
    findings = [*args.plan_json["findings"], *checks["findings"]]
    result = {
        "rows": rows,
        "findings": findings,
        "sample": checks["sample"],
        "assumptions": args.plan_json["estimate"]["assumptions"],
    }
    files.write_json(args.output, result)
    for row in rows:
        error = "" if row["error"] is None else f" ({row['error']:+.0%})"
        print(
            f"{row['quantity']}: estimated {row['estimate']}, measured {row['measured']} {row['unit']}{error}"
        )


if __name__ == "__main__":
    command.run(parser(), main)
