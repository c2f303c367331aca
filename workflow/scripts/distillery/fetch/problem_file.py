"""Files of problems, of any format that datasets have, as a problem set of ours, with a manifest of what became of their rows."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from distillery import digests, one_writer
from distillery.evaluate import self_check
from distillery.fetch import hold_out, openr1, problem_columns, problem_golds, problem_rows
from distillery.fetch.problem_columns import COLUMNS, Column
from distillery.fetch.problem_rows import Row
from distillery.problems import Problem, UsageProblem
from distillery.tokenize.csv_rows import NulledRow
from distillery.tokenize.parts import CSV_NULL
from distillery.tokenize.silent_losses import question_notes

FIXED = openr1.PROBLEM_SCHEMA.names
AGAIN = "the question of an earlier row"


@dataclass(frozen=True)
class Recipe:
    """Which rows of the files are problems, and how.

    Attributes:
        name: of the problem set; the kind of problems without one, and part of the identity of those without a uuid.
        columns: ours by name.
        records: dotted key of the rows in a .json file that is one object.
        hold_out: problems are the part of the rows that is held out of a dataset with the same setting (`hold_out.split`), each
            question once.
        filter: values, or lists of values, that a column must have.
        rows: at most so many, from the first.
        sample: `rows` and `seed`: so many, drawn, in the files' order.
        leave_out: rows whose golds cannot be scored are left out and counted, and are no error.
        strict: odd rows (an empty question, a CSV cell read as null) are left out and counted; else they are kept and counted.
    """

    name: str
    columns: Mapping[str, Column]
    records: str | None = None
    hold_out: Mapping[str, Any] | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    sample: Mapping[str, int] | None = None
    leave_out: bool = False
    strict: bool = False


def run(args: argparse.Namespace) -> str:
    """Write the problem set that import_problems.py's flags ask for, and its manifest; says what it holds.

    Raises:
        UsageProblem: a flag that makes no sense.
        Problem: as `read`.
    """
    if args.rows is not None and args.rows < 1:
        raise UsageProblem(
            "a problem set needs problems", where="--rows", found=args.rows, wanted="1 or more"
        )
    recipe = Recipe(
        name=args.name,
        columns=problem_columns.parse(args.columns),
        records=args.records,
        hold_out=args.hold_out,
        filter=args.filter,
        rows=args.rows,
        sample=args.sample,
        leave_out=args.unscorable == "leave_out",
        strict=args.strict,
    )
    with problem_rows.opened(args.input, args.files) as found:
        for path in found.values():
            digests.check_file(path)
        made, manifest = read(found, recipe)
        # where the files lie on this machine is no part of what they are
        folder = (
            ""
            if args.input[0].is_dir()
            else os.path.join(os.path.commonpath([one.parent for one in args.input]), "")
        )
        manifest = _without(manifest, folder)
        manifest["files"] = [digests.entry(_without(name, folder), path) for name, path in found.items()]
    extra = [pa.field(name, pa.string()) for name in COLUMNS if name in recipe.columns and name not in FIXED]
    with one_writer.of(args.output):
        digests.write_json(digests.manifest_of(args.output), manifest)
        openr1.write(made, pa.schema([*openr1.PROBLEM_SCHEMA, *extra]), args.output)
    counts = [
        f"{words}: {note} ({one['count']})"
        for key, words in (("noted", "noted"), ("rejected", "left out"))
        for note, one in manifest[key].items()
    ]
    if left := manifest["unscorable"]["count"]:
        counts.append(f"{left} left out: no answer can be scored against their golds")
    families = len({row["problem_type"] for row in made})
    return f"{len(made)} problems of {families} families" + "".join(f"; {one}" for one in counts)


def _without(value: Any, folder: str) -> Any:
    """A JSON value in which no text begins with the folder."""
    if isinstance(value, dict):
        return {key: _without(one, folder) for key, one in value.items()}
    if isinstance(value, list):
        return [_without(one, folder) for one in value]
    return value.removeprefix(folder) if isinstance(value, str) else value


def read(found: Mapping[str, Path], recipe: Recipe) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The problem set's rows in the files' order, and how many rows there were and what became of them.

    Args:
        found: the files by the names that messages call them.

    Raises:
        Problem: a file or a column that is not there, no row left, a question that is no text, a repeated uuid, and in one list
            all golds that cannot be read or that no answer could be right against.
    """
    wanted = [column.name for column in recipe.columns.values() if column.constant is None]
    optional = [
        recipe.columns[key].name for key in ("uuid", "problem_type") if recipe.columns[key].name == key
    ]
    rows = list(
        problem_rows.read(
            found,
            recipe.records,
            [*wanted, *recipe.filter, *(recipe.hold_out or {}).get("columns", [])],
            optional,
        )
    )
    held = hold_out.split(rows, recipe.columns["uuid"], recipe.hold_out)[1] if recipe.hold_out else rows
    kept, answer = problem_rows.filtered(held, recipe.filter), recipe.columns["answer"]
    again: list[Row] = []
    if recipe.hold_out:  # data to learn from have several answers to one question
        kept, again = problem_rows.asked_once(kept, recipe.columns["uuid"], recipe.columns["problem"])
    made, golden, bad, odd = [], [], [], {}
    if recipe.leave_out:  # so many rows are wanted of those that can be scored
        said = [problem_golds.read(row, answer) for row in kept]
        bad = [problem_golds.unscorable(one.row, answer, one.why) for one in said if one.why]
        chosen = problem_rows.taken([one for one in said if not one.why], recipe.rows, recipe.sample)
    else:
        chosen = [
            problem_golds.read(row, answer) for row in problem_rows.taken(kept, recipe.rows, recipe.sample)
        ]
    for row, gold, why in chosen:
        problem = _question(row, recipe.columns["problem"])
        notes = _notes(row, problem)
        for note in notes:
            odd.setdefault(note, []).append(row.where)
        if notes and recipe.strict:
            continue
        if why:
            bad.append(problem_golds.unscorable(row, answer, why))
            continue
        made.append({"problem": problem, "answer": gold, **_rest(row, problem, recipe)})
        golden.append(row)
    checked = self_check.check([one["answer"] for one in made])
    wrong = {one["row"]: one for one in checked["wrong"]}
    for number, one in wrong.items():
        why = f"boxed it is read as {one['answer']!r}, {one['rule']}: no answer could be right"
        bad.append(problem_golds.unscorable(golden[number], answer, why))
    if bad and not recipe.leave_out:
        raise problem_golds.unreadable(bad)
    left = [number for number in range(len(made)) if number not in wrong]
    _different([made[number]["uuid"] for number in left], [golden[number].where for number in left])
    if not left:
        raise Problem(
            "no problems in the files",
            where=", ".join(found),
            found=f"{len(rows)} rows, of which none is left",
        )
    counted = {note: {"count": len(places), "rows": places} for note, places in odd.items()}
    repeated = {AGAIN: {"count": len(again), "rows": [row.where for row in again]}} if again else {}
    return [made[number] for number in left], {
        "rows": len(rows),
        "problems": len(left),
        "noted": {} if recipe.strict else counted,
        "rejected": (counted if recipe.strict else {}) | repeated,
        "unscorable": {"count": len(bad), "rows": bad},
        # each gold that can be read, against itself, and how golds will be compared
        "self_check": {key: checked[key] for key in ("readable", "right", "math_verify", "kinds")},
    }


def _notes(row: Row, problem: str) -> list[str]:
    """What is odd about a row, in the words of tokenize's manifests."""
    notes = [CSV_NULL] if isinstance(row.values, NulledRow) else []
    return notes + [note for note, holds in question_notes([problem]).items() if holds]


def _question(row: Row, column: Column) -> str:
    try:
        return column.text(row.values) or ""
    except ValueError as error:
        raise Problem(
            "a question that cannot be asked",
            where=f"{row.where}, column {column.name}",
            found=f"{row.values.get(column.name)!r:.80}: {error}",
            wanted="text",
            fix="name the column of the question: columns: {problem: NAME}",
        ) from None


def _rest(row: Row, problem: str, recipe: Recipe) -> dict[str, str | None]:
    made = {}
    for key in recipe.columns.keys() - {"problem", "answer"}:
        try:
            made[key] = recipe.columns[key].text(row.values)
        except ValueError as error:
            where = f"{row.where}, column {recipe.columns[key].name}"
            raise Problem(
                "a value that cannot be used", where=where, found=error, wanted="text or a number"
            ) from None
    # two empty questions are two problems: their rows tell them apart
    told = problem if problem.strip() else (problem, Path(row.where).name)
    made["uuid"] = made.get("uuid") or openr1.identifier(recipe.name, told)
    made["problem_type"] = made.get("problem_type") or recipe.name
    return made


def _different(uuids: list[str], places: list[str]) -> None:
    seen: dict[str, str] = {}
    for uuid, where in zip(uuids, places, strict=True):
        if (first := seen.setdefault(uuid, where)) != where:
            raise Problem(
                "a problem occurs twice",
                where=f"{first} and {where}",
                found=f"the id {uuid} of both",
                wanted="each problem once",
                fix="leave one of the two out, or name a column that tells them apart: columns: {uuid: NAME}",
            )
