"""A file of problems from a hub, JSON-lines, JSON or parquet, as a problem set of ours."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from distillery import parquet_files
from distillery.evaluate import golds, self_check
from distillery.fetch import openr1
from distillery.problems import Problem, UsageProblem

COLUMNS = ("uuid", "problem", "answer", "problem_type")
REQUIRED = ("problem", "answer")


def run(args: argparse.Namespace) -> list[dict[str, str]]:
    """Write the problem set that import_problems.py's flags ask for; returns its rows.

    Raises:
        UsageProblem: --columns is no object, or names a column that a problem set does not have.
        Problem: no such file, golds that no answer can be right against, or as `read`.
    """
    try:
        columns = dict(json.loads(args.columns))
    except (ValueError, TypeError) as error:
        raise UsageProblem("not a JSON object", where="--columns", found=error) from None
    if unknown := set(columns) - set(COLUMNS):
        raise UsageProblem("unknown column", where="--columns", found=sorted(unknown), wanted=COLUMNS)
    if not args.input.is_file():
        raise Problem("no such file", where=args.input, fix="fetch it with fetch_shard.py")
    rows = read(args.input, columns, args.name, args.rows)
    if trouble := self_check.problem(self_check.check([row["answer"] for row in rows]), args.input):
        raise trouble
    openr1.write(rows, openr1.PROBLEM_SCHEMA, args.output)
    return rows


def read(path: Path, columns: dict[str, str], name: str, limit: int | None) -> list[dict[str, str]]:
    """Rows of `openr1.PROBLEM_SCHEMA`, at most `limit`, in the file's order.

    Args:
        columns: the file's names for ours, where they differ.
        name: of the problem set; identities of rows without a uuid derive from it and the problem's text.

    Raises:
        Problem: names the row that lacks a problem or repeats a uuid, and all rows whose answers cannot be read.
    """
    rows: list[dict[str, str]] = []
    unreadable: list[str] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(_rows(path)[:limit]):
        where = f"{path.name}, row {number}"
        if not isinstance(row, dict):
            raise Problem("not an object", where=where, found=repr(row)[:80])
        found = {ours: row.get(columns.get(ours, ours)) for ours in COLUMNS}
        for key in REQUIRED:
            if columns.get(key, key) not in row or (key == "problem" and found[key] in (None, "")):
                raise Problem(
                    f"a problem set needs the column {key}",
                    where=where,
                    found=", ".join(map(str, row)),
                    wanted=columns.get(key, key),
                    fix=f"name it in the configuration: columns: {{{key}: NAME}}",
                )
        try:
            found["answer"] = golds.read(found["answer"])
        except golds.Unreadable as error:
            answer = f"column {columns.get('answer', 'answer')}: {found['answer']!r:.80}"
            unreadable.append(f"row {number}, {answer}: {error}")
            continue
        made = {key: str(value) for key, value in found.items() if value is not None}
        made.setdefault("uuid", openr1.identifier(name, made["problem"]))
        made.setdefault("problem_type", name)
        first = seen.setdefault(made["uuid"], number)
        if first != number:
            raise Problem(
                "a problem occurs twice", where=f"{path.name}, rows {first} and {number}", found=made["uuid"]
            )
        rows.append({key: made[key] for key in COLUMNS})
    if unreadable:
        raise Problem(
            f"{len(unreadable)} gold answers cannot be read",
            where=path.name,
            found="\n          ".join(unreadable),
            wanted="an answer to compare with in each row: text, a number or a list",
            fix="mend those rows, or leave them out",
        )
    if not rows:
        raise Problem("no problems in the file", where=path)
    return rows


def _rows(path: Path) -> list[Any]:
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"
    if is_parquet:
        return parquet_files.rows(path)
    text = path.read_text(encoding="utf-8")
    try:
        if text.lstrip().startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise Problem("neither JSON, JSON-lines nor parquet", where=path.name, found=error) from None
