"""How a file's columns become those of a problem set: what `columns` of a configuration says, checked and applied to rows.

    columns = parse({"problem": "question", "answer": {"after": "####"}})
    columns["answer"].gold({"answer": "6 * 3 = 18 #### 18"})    # "18"

A column is a name, or an object: `column` (ours by default), or `constant`, and for answers what of the value is meant: the
text `after` a mark, the last `boxed` one, the `choice` that a number from 0 or a letter names, `plain` formulas; and its `type`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distillery import dotted, json_files
from distillery.evaluate import extraction, golds, judge, notation, quantities, rules, self_check
from distillery.fetch import openr1
from distillery.problems import UsageProblem

COLUMNS = ("uuid", "problem", "answer", "problem_type", "source", "level")
REQUIRED = ("problem", "answer")
SOLUTION = (
    "uuid",
    "problem",
    "steps",
    "answer",
    "problem_type",
)  # columns of problems with written solutions
MEANINGS = ("after", "boxed", "choice", "plain")  # of a value, one at a time
TYPES = {
    "number": "a number",
    "expression": "a number or an expression",
    "choice": "the letter of a choice",
    "text": "text",
    "list": "a list",
}
# quotes are no notation of mathematics: this is a list that somebody printed
PRINTED_LIST = re.compile(r"\s*\[\s*(['\"]).*\1\s*,?\s*\]\s*", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """One column of a problem set, and what it is made of."""

    name: str  # of the file's
    constant: str | None = None
    after: str | None = None
    boxed: bool = False
    choice: Sequence[str] = ()
    plain: bool = False
    type: str | None = None
    of: str | None = None
    spaced: bool = False

    def value(self, row: Mapping[str, Any]) -> Any:
        """What the row has there: a dotted name leads into objects, and through a list to a list."""
        if self.constant is not None:
            return self.constant
        return dotted.value(row, self.name)

    def text(self, row: Mapping[str, Any]) -> str | None:
        """The value as text, None where there is none.

        Raises:
            ValueError: an object, a list or a truth value; its words say so.
        """
        value = self.value(row)
        if value is None or value != value:  # NaN is not itself
            return None
        if isinstance(value, (bool, dict, list)):
            kinds = {bool: "a truth value", dict: "an object", list: "a list"}
            raise ValueError(f"{kinds[type(value)]}, no text")
        found = value if isinstance(value, str) else golds.read(value)
        found = found.replace("-", " ") if self.spaced else found
        return openr1.identifier(self.of, found) if self.of else found

    def gold(self, row: Mapping[str, Any]) -> str:
        """The answer to compare with.

        Raises:
            Unreadable: the value holds none, or one of another type; its words say why.
        """
        value = self.value(row)
        if self.after is not None or self.boxed or self.plain:
            if not isinstance(value, str):
                raise golds.Unreadable("no text to find an answer in")
            value = self._meant(value)
        if self.choice:
            value = self._chosen(value)
        if isinstance(value, str) and (self.type == "list" or PRINTED_LIST.fullmatch(value)):
            value = _listed(value)
        if self.type == "list" and not isinstance(value, (list, tuple)):
            raise golds.Unreadable("no list")
        text = golds.read(value)
        if self.type and not _is(text, self.type):
            raise golds.Unreadable(f"not {TYPES[self.type]}")
        return text

    def _meant(self, text: str) -> str:
        if self.after is not None:
            if self.after not in text:
                raise golds.Unreadable(f"no {self.after} in it")
            return text.rpartition(self.after)[2].strip()
        if self.boxed:
            box = extraction.last_box(text)
            if box is None:
                raise golds.Unreadable("no \\boxed{} in it")
            return box
        from distillery.fetch import plain_formulas

        formula = plain_formulas.to_latex(text)
        if formula is None or not judge.parses(formula):
            raise golds.Unreadable("words, no formula")
        return formula

    def _chosen(self, value: Any) -> str:
        if isinstance(value, float) and value.is_integer():  # a column of CSV with a gap
            value = int(value)
        text = str(value).strip()
        if text in self.choice:
            return text
        if isinstance(value, bool) or not text.isdecimal() or int(text) >= len(self.choice):
            raise golds.Unreadable(
                f"neither one of {', '.join(self.choice)} nor a number from 0 to {len(self.choice) - 1}"
            )
        return self.choice[int(text)]


def parse(said: Mapping[str, Any], allowed: Sequence[str] = COLUMNS) -> dict[str, Column]:
    """All columns that a map names, and those that every problem set needs.

    Args:
        allowed: columns that there are.

    Raises:
        UsageProblem: a column that a problem set does not have, an unknown word, or two that exclude each other.
    """
    if unknown := sorted(set(said) - set(allowed)):
        raise UsageProblem("unknown column", where="--columns", found=unknown, wanted=", ".join(allowed))
    return {
        ours: _column(ours, said.get(ours, ours))
        for ours in allowed
        if ours in said or ours in (*REQUIRED, "uuid", "problem_type")
    }


def _column(ours: str, said: Any) -> Column:
    if isinstance(said, str):
        return Column(said)
    known = (
        {"column", "constant", *MEANINGS, "type"} if ours == "answer" else {"column", "constant", "spaced"}
    )
    if ours == "uuid":
        known = {"column", "of"}
    where = f"--columns, {ours}"
    if not isinstance(said, dict) or set(said) - known:
        found = sorted(set(said) - known) if isinstance(said, dict) else repr(said)
        raise UsageProblem(
            "not the description of a column", where=where, found=found, wanted=", ".join(sorted(known))
        )
    if len(meant := [key for key in ("constant", *MEANINGS) if key in said]) > 1:
        raise UsageProblem(
            "a value has one meaning", where=where, found=", ".join(meant), wanted="one of them"
        )
    if said.get("type", "text") not in TYPES:
        raise UsageProblem("unknown type", where=where, found=said["type"], wanted=", ".join(TYPES))
    return Column(said.get("column", ours), **{key: value for key, value in said.items() if key != "column"})


def _listed(text: str) -> Any:
    try:
        return json_files.loads(text)
    except ValueError:
        pass
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        return ast.literal_eval(text)
    raise golds.Unreadable("no list")  # outside: no memory is wanting where Python's parser says so


def _is(text: str, kind: str) -> bool:
    if kind == "number":
        return bool(quantities.number(notation.normal(text)))
    if kind == "expression":
        return self_check.kind(text) in ("number", "expression")
    return kind != "choice" or rules.names_a_choice(notation.normal(text))
