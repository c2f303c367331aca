"""All answers for the page's browser of problems: an index in the page, texts in scripts beside it that are read when opened.

A page from a disk may not read files, but it may load scripts: each holds some texts and hands them over by one call. So the page stays
light, whatever 500 problems with 4 samples of 7,000 tokens weigh.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery import files
from distillery.terminal_text import printable

Rows = list[dict[str, Any]]
Samples = Mapping[str, Mapping[str, Rows]]
SIDES = ("base", "tuned")
CALL = "reportTexts"  # the page's function that takes what a script holds
CHARACTERS = 1_000_000  # of a script, but for its last problem
CLOSED = "</think>"


def index(problems: Rows, scores: Samples) -> Rows:
    """A row for each problem that was answered: what it is, its outcome, how its answers stopped, in the order of the problem set.

    Args:
        scores: {side: {id: scores of all samples}}.
    """
    rows = []
    for problem in problems:
        mine = {side: scores[side].get(problem["uuid"], []) for side in SIDES}
        if not all(mine.values()):
            continue
        right = {side: sum(one["strict"] for one in mine[side]) for side in SIDES}
        rows.append(
            {
                "id": problem["uuid"],
                "problem": problem["problem"],
                "gold": problem["answer"],
                "family": problem["problem_type"],
                "outcome": outcome(*(right[side] / len(mine[side]) for side in SIDES)),
                "stops": sorted({one["stop"] for side in SIDES for one in mine[side]}),
                **{side: {"right": right[side], "of": len(mine[side])} for side in SIDES},
            }
        )
    return rows


def outcome(before: float, after: float) -> str:
    """What became of a problem, by both models' shares of right answers."""
    if before != after:
        return "gained" if after > before else "lost"
    return {0.0: "wrong in both", 1.0: "right in both"}.get(before, "as often right")


def parted(text: str) -> tuple[str, str]:
    """(thoughts, what follows them) of an answer, without the marks around them; all of an unclosed one is thoughts."""
    thoughts, closed, answer = text.rpartition(CLOSED)
    if not closed:
        thoughts, answer = (text, "") if text.lstrip().startswith("<think>") else ("", text)
    return thoughts.lstrip().removeprefix("<think>").strip("\n"), answer.strip("\n")


def write(rows: Rows, generations: Samples, scores: Samples, directory: Path) -> list[Path]:
    """Write the scripts `000.js` ... of a directory, name in each row of `index` the one with its texts, and return them.

    Scripts of an earlier page that are none of this are removed.
    """
    made = []
    for number, part in enumerate(_parts(rows, generations, scores)):
        made.append(directory / f"{number:03}.js")
        for row in rows:
            if row["id"] in part:
                row["texts"] = number
        files.write_text(made[-1], f"{CALL}({number},{_literal(part)});\n")
    for old in set(directory.glob("*.js")) - set(made):
        old.unlink()
    return made


def _parts(rows: Rows, generations: Samples, scores: Samples) -> Iterator[dict[str, Any]]:
    """{problem: {side: its answers}}, as many problems at a time as a script may hold."""
    part: dict[str, Any] = {}
    held = 0
    for row in rows:
        part[row["id"]] = {
            side: [
                _answer(*pair)
                for pair in zip(generations[side][row["id"]], scores[side][row["id"]], strict=True)
            ]
            for side in SIDES
        }
        held += sum(len(one["text"]) for side in SIDES for one in generations[side][row["id"]])
        if held >= CHARACTERS:
            yield part
            part, held = {}, 0
    if part:
        yield part


def _answer(generation: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
    thoughts, answer = map(printable, parted(generation["text"]))
    said = [f"{generation['tokens']:,} tokens", f"stopped by {score['stop']}"]
    said += ["still thinking"] if score["unfinished_think"] else []
    said += ["right if read leniently"] if score["lenient"] and not score["strict"] else []
    return {"right": score["strict"], "note": ", ".join(said), "thoughts": thoughts, "answer": answer}


def _literal(value: Any) -> str:
    """JSON that is a literal of every JavaScript and ends no element that it may stand in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate({0x2028: "\\u2028", 0x2029: "\\u2029", ord("<"): "\\u003c"})
