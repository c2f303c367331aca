"""What convert_verify.py does: check each directory, then prove one against the other."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from distillery import digests
from distillery.convert import logits, proof, stored_bytes
from distillery.convert.weight_sources import Source, open_hf, open_mcore
from distillery.problems import UsageProblem


def run(args: argparse.Namespace) -> None:
    """Check or prove what convert_verify.py's flags ask, and write the proof if it is wanted.

    Raises:
        UsageProblem, Problem: as `inspect`; nothing is written.
    """
    result = inspect(args.hf_dir, args.mcore_dir, args.check_logits)
    if args.output:
        digests.write_json(args.output, result)


def inspect(hf_dir: Path | None, mcore_dir: Path | None, check_logits: bool) -> dict[str, Any]:
    """The content of the proof, or of a lone directory's check; says each result on standard error.

    Raises:
        Problem: the first thing that is wrong.
    """
    if hf_dir is None and mcore_dir is None or check_logits and (hf_dir is None or mcore_dir is None):
        raise UsageProblem(
            "nothing to check, or nothing to compare logits with",
            where="--hf-dir, --mcore-dir",
            fix="give one of them to check it by itself, both for the round-trip proof and --check-logits",
        )
    result: dict[str, Any] = {}
    hf = mcore = None
    if hf_dir is not None:
        hf = open_hf(hf_dir)
        result["hf"] = _facts(hf, stored_bytes.of_manifest(hf_dir).run())
    if mcore_dir is not None:
        mcore = open_mcore(mcore_dir)
        result["mcore"] = _facts(mcore, stored_bytes.of_source(mcore_dir, mcore).run())
    if hf and mcore:
        result |= proof.round_trip(hf, mcore)
        _say(f"round trip: {result['tensors']} tensors equal by sha256")
        _say_payload(result["payload"])
    if check_logits and hf_dir and mcore_dir:
        result["logits"] = logits.check(hf_dir, mcore_dir)
        _say(f"logits: relative difference {result['logits']['max_relative_difference']:g}")
    return result


def _facts(source: Source, integrity_line: str) -> dict[str, Any]:
    a, grid = source.architecture, source.grid
    facts: dict[str, Any] = {
        "dtype": source.dtype.name,
        "parameters": a.num_parameters,
        "tensors": len(source.blocks),
        "checks": ["files whole, names and shapes as configured", integrity_line],
    }
    if grid:
        facts["layout"] = {
            "tensor_parallel_size": grid.tensor_parallel_size,
            "pipeline_parallel_size": grid.pipeline_parallel_size,
            "layers": [[len(chunk) for chunk in stage] for stage in grid.stages],
            "padded_vocab_size": grid.padded_vocab_size,
        }
    for line in facts["checks"]:
        _say(f"{'mcore' if grid else 'hf'}: {line}")
    return facts


def _say_payload(payload: dict[str, Any]) -> None:
    change = payload["ratio"] - 1
    _say(f"payload: exactly as the layout implies, {change:+.2%} of the Hugging Face weights")
    if not payload["within_5_percent"]:
        _say("warning: outside the guide's 5 %, which is legitimate here: " + "; ".join(payload["causes"]))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
