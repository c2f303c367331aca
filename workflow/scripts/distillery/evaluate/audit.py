"""Verdicts for a human to look at, those most in doubt first, each with the line that would overrule it.

Kinds, in this order: "overruled" by a human before; "disputed" (math-verify alone says otherwise); "no verdict" (out of time,
crashed); "only lenient" (right in the lenient reading, or in a box that does not count); "unlike" (wrong, though gold and
answer are both words or expressions and no numbers); "unscorable". With `everything` the rest follows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from distillery import artefacts, config, set_artefacts
from distillery.evaluate import measures, notation, overrules, quantities, scoring
from distillery.terminal_text import printable

KINDS = ("overruled", "disputed", "no verdict", "only lenient", "unlike", "unscorable", "sure")
TEXT = 300  # characters of a problem and of an answer's end that are shown


def run(args: argparse.Namespace) -> str:
    """The audit that evaluate_audit.py's flags ask for, as text.

    Raises:
        UsageProblem: the configuration has no such experiment.
        Problem: as `of`.
    """
    loaded = config.read(args.configfile)
    experiment = config.experiment(loaded, args.experiment, f"--experiment; {args.configfile}")
    said = []
    for problems in experiment.asked:
        scores = {
            "base": Path(artefacts.base_scores(experiment, problems).path),
            "tuned": Path(set_artefacts.of_set(artefacts.TUNED_SCORES, experiment, problems).path),
        }
        answers = {
            "base": Path(artefacts.base_answers(experiment, problems).path),
            "tuned": Path(set_artefacts.of_set(artefacts.TUNED_ANSWERS, experiment, problems).path),
        }
        if len(experiment.asked) > 1:
            said.append(f"==== {problems}")
        path = Path(artefacts.PROBLEMS.at(problems=problems))
        said.append(of(scores, path, args.limit, args.everything, answers))
        said.append(
            f"to overrule, append such a line to {artefacts.OVERRULES.at(problems=problems)} and run again"
        )
    return "\n".join(said)


def of(
    scores: Mapping[str, Path],
    problems: Path,
    limit: int = 20,
    everything: bool = False,
    answers: Mapping[str, Path] = MappingProxyType({}),
) -> str:
    """The audit of several models' scores of one problem set, as text.

    Args:
        answers: of each model, whose ends are shown where no box says what was answered.

    Raises:
        Problem: a file that is not there or not whole.
    """
    keys = ("id", "sample", "strict", "lenient", "answer", "gold", "boxed", "rule")
    rows = collect({side: scoring.read_jsonl(path, keys) for side, path in scores.items()}, everything)
    texts = {row["uuid"]: row.get("problem") or "" for row in scoring.read_problems(problems)}
    _add_ends([row for listed in rows.values() for row in listed[:limit]], answers)
    return show(rows, texts, limit) if rows else "nothing speaks against any verdict\n"


def _add_ends(rows: Iterable[dict[str, Any]], answers: Mapping[str, Path]) -> None:
    """Give the rows whose answer stands in no box that counts the `end` of the text it was found in."""
    wanted = {(row["given"][0], row["id"]): row for row in rows if row.get("boxed") is None}
    for side, path in answers.items():
        for answer in scoring.read_jsonl(path, ("id", "sample", "text")) if wanted else ():
            if (row := wanted.get((f"{side} {answer['sample']}", answer["id"]))) is not None:
                row["end"] = answer["text"][-TEXT:]


def kind(score: Mapping[str, Any]) -> str:
    """Why a human should look at a score, one of KINDS."""
    if not score.get("scorable", True):
        return "unscorable"
    if score.get("overruled") is not None:
        return "overruled"
    if score.get("timed_out") or score.get("crashed"):
        return "no verdict"
    if measures.disputed(score):
        return "disputed"
    if score["lenient"] and not score["strict"]:
        return "only lenient"
    boxed = score.get("boxed")
    if (
        not score["strict"]
        and boxed is not None
        and quantities.number(notation.normal(score["gold"])) is None
    ):
        return "unlike"
    return "sure"


def collect(
    sides: Mapping[str, Iterable[Mapping[str, Any]]], everything: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Scores of several models by kind, equal answers to one problem once, with the models and samples that gave them."""
    found: dict[tuple[str, str, Any], dict[str, Any]] = {}
    for side, scores in sides.items():
        for score in scores:
            what = kind(score)
            if what == "sure" and not everything:
                continue
            row = found.setdefault((what, score["id"], score["answer"]), {**score, "kind": what, "given": []})
            row["given"].append(f"{side} {score['sample']}")
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
    for row in found.values():
        rows[row["kind"]].append(row)
    return {name: listed for name, listed in rows.items() if listed}


def show(rows: Mapping[str, list[dict[str, Any]]], problems: Mapping[str, str], limit: int) -> str:
    """The audit as text, at most `limit` of each kind.

    Args:
        problems: text of each problem by its id.
    """
    lines = []
    for name, listed in rows.items():
        lines.append(f"== {name}: {len(listed)}{f', the first {limit}' if len(listed) > limit else ''}")
        for row in listed[:limit]:
            verdict = "right" if row["strict"] else "wrong"
            theirs = {True: "right", False: "wrong", None: "not asked"}[row.get("math_verify")]
            lines += [
                f"\n{row['id']}  {verdict} by rule: {row['rule']}; math-verify alone: {theirs}; {', '.join(row['given'][:6])}",
                f"  problem  {_shown(problems.get(row['id'], ''))}",
                f"  gold     {_shown(row['gold'])}",
                f"  answer   {_shown(row['answer'])}",
            ]
            if "end" in row:
                lines.append(f"  text     … {_shown(row['end'])}")
            if row["answer"] is not None and row.get("scorable", True):
                lines.append(f"  overrule {overrules.line(row)}")
        lines.append("")
    return "\n".join(lines)


def _shown(text: str | None) -> str:
    """Text on one line, as a terminal can show it."""
    return printable(" ".join((text if text is not None else "(none)").split()))[:TEXT]
