"""Render an experiment's report: one HTML page with everything in it, and its parts as files.

    python workflow/scripts/report_page.py --name embedded --comparison comparison.json --summary summary.json \\
        --base-generations base.jsonl --tuned-generations tuned.jsonl --base-scores base.scores.jsonl \\
        --tuned-scores tuned.scores.jsonl --problems resources/problems/arithmetic-heldout.parquet \\
        --data-manifest data_manifest.json --quality quality.json --done train/done.json --rulegraph rulegraph.dot \\
        --config-json '{"seq_length": 128}' --output report.html --parts-dir report/

The page needs no network. The loss curve comes from the metrics file that done.json names.
"""

import argparse
import json
from pathlib import Path

from distillery import command

INPUTS = {
    "comparison": "of evaluate_compare.py",
    "summary": "of evaluate_compare.py",
    "base_generations": "answers of the untuned model",
    "tuned_generations": "answers of the tuned model",
    "base_scores": "of score.py",
    "tuned_scores": "of score.py",
    "problems": "the problem set, parquet",
    "data_manifest": "of the tokenized dataset",
    "quality": "of tokenize_quality.py",
    "done": "done.json of the training",
    "rulegraph": "dot file of report_rulegraph.py",
}


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    for role, text in INPUTS.items():
        parser.add_argument(
            f"--{role.replace('_', '-')}", type=Path, required=True, metavar="FILE", help=text
        )
    parser.add_argument(
        "--conversion-proof", type=Path, metavar="FILE", help="round trip of the weights, if proved"
    )
    parser.add_argument(
        "--export-proof", type=Path, metavar="FILE", help="exported against scored weights, if proved"
    )
    parser.add_argument(
        "--mindspeed-answer",
        type=Path,
        metavar="FILE",
        help="of generate_mindspeed.py, where it was asked",
    )
    parser.add_argument(
        "--plan", type=Path, metavar="FILE", help="estimates beside measurements, of plan_outcome.py"
    )
    parser.add_argument(
        "--sweep",
        type=Path,
        metavar="FILE",
        help="of evaluate_sweep.py, where the experiment is one of a sweep",
    )
    parser.add_argument(
        "--mixed-quality",
        type=command.named_file,
        nargs="+",
        default=[],
        metavar="DATASET=FILE",
        help="quality cards of all datasets of a mix",
    )
    parser.add_argument(
        "--samples",
        type=command.named_file,
        nargs="+",
        default=[],
        metavar="JOB=FILE",
        help="resource samples taken beside jobs, *.samples.jsonl; a file that is not there fails nothing",
    )
    parser.add_argument(
        "--overview",
        type=Path,
        metavar="HTML",
        help="the page over all experiments, of report_overview.py, to be linked",
    )
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="what made the page, to be linked; it is written afterwards",
    )
    parser.add_argument(
        "--card",
        type=Path,
        metavar="MD",
        help="write the export's model card there, in Hugging Face's format: data, recipe, scores, digests, licences",
    )
    parser.add_argument(
        "--upload",
        type=Path,
        metavar="FILE",
        help="give the export's files second names around its manifest there: the folder that goes to a hub with the card",
    )
    parser.add_argument(
        "--exported", type=Path, metavar="FILE", help="the export's manifest, for card and upload"
    )
    parser.add_argument(
        "--original",
        type=Path,
        metavar="FILE",
        help="manifest of the model that was fetched or made, whose README.md may state a licence, for the card",
    )
    parser.add_argument(
        "--datasets",
        type=command.named_file,
        nargs="+",
        default=[],
        metavar="DATASET=FILE",
        help="manifests of all tokenized datasets, for the card",
    )
    parser.add_argument(
        "--origins-json",
        type=json.loads,
        default={},
        metavar="JSON",
        help="what model and data are and whose, for the card",
    )
    parser.add_argument(
        "--config-json", required=True, metavar="JSON", help="the experiment's settings, to be shown"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="HTML")
    parser.add_argument(
        "--parts-dir", type=Path, required=True, metavar="DIR", help="figures as SVG, tables as JSON"
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.report import page

    verdict = page.run(args)
    print(f"{args.output}: {verdict['headline']}. {verdict['sentence']}")


if __name__ == "__main__":
    command.run(parser(), main)
