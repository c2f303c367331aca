"""Golds of a problem set's rows: what the answer's column holds, or why it holds none, with file, row and column."""

from __future__ import annotations

from typing import NamedTuple

from distillery.evaluate import golds
from distillery.fetch.problem_columns import Column
from distillery.fetch.problem_rows import Row
from distillery.problems import Problem
from distillery.tokenize.csv_rows import NulledRow
from distillery.tokenize.parts import CSV_NULL


class Golden(NamedTuple):
    """A row and its gold, or why the answer's column holds none."""

    row: Row
    gold: str
    why: str


def read(row: Row, answer: Column) -> Golden:
    """What the answer's column of a row holds."""
    try:
        return Golden(row, answer.gold(row.values), "")
    except golds.Unreadable as error:
        return Golden(row, "", str(error))


def unscorable(row: Row, column: Column, why: str) -> dict[str, str]:
    """An entry of a manifest's list of rows without a gold; of a CSV cell that was read as nothing with what it says."""
    found = column.value(row.values)
    if isinstance(row.values, NulledRow) and column.name in row.values.cells:
        found, why = row.values.cells[column.name], CSV_NULL
    return {"where": row.where, "column": column.name, "found": repr(found)[:200], "why": why}


def unreadable(bad: list[dict[str, str]]) -> Problem:
    """The error that names all of them."""
    return Problem(
        f"{len(bad)} gold answers cannot be read",
        where=bad[0]["where"].rpartition(", row")[0],
        found="\n          ".join(
            f"{one['where']}, column {one['column']}: {one['found']}: {one['why']}" for one in bad
        ),
        wanted="an answer to compare with in each row: text, a number or a list",
        fix="mend those rows, say what of the column is the answer (after, boxed, choice, type), or unscorable: leave_out",
    )
