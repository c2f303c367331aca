"""What happened to each row: counted, named, and held against what is allowed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distillery.problems import Problem
from distillery.tokenize.documents import Rules
from distillery.tokenize.outputs import NAMED_ROWS
from distillery.tokenize.parts import Part
from distillery.tokenize.readers import Source


@dataclass
class Tally:
    """What the manifest counts. Rows that are odd or dropped are named up to NAMED_ROWS of a kind."""

    read: int = 0
    kept: int = 0
    truncated: int = 0
    reasons: Counter = field(default_factory=Counter)
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)  # the first row of each reason
    roles: Counter = field(default_factory=Counter)
    noted: dict[str, dict[str, Any]] = field(default_factory=dict)
    overlong: dict[str, Any] = field(default_factory=lambda: {"count": 0, "rows": []})
    held_out: dict[str, Any] = field(default_factory=lambda: {"count": 0, "rows": []})
    left_out: dict[str, Any] = field(default_factory=lambda: {"count": 0, "rows": []})
    by_file: Counter = field(default_factory=Counter)

    def add(self, file: str, part: Part) -> None:
        self.read += part.seen
        self.by_file[file] += part.seen
        gone = part.rejected, part.overlong, part.held_out, part.left_out
        self.kept += part.seen - sum(map(len, gone))
        self.truncated += part.truncated
        self.roles += part.roles
        for entry in part.rejected:
            self.reasons[entry["reason"]] += 1
            self.examples.setdefault(entry["reason"], entry)
        for note, row, uuid in part.noted:
            _name(self.noted.setdefault(note, {"count": 0, "rows": []}), file, row, uuid)
        for row, uuid, _ in part.overlong:
            _name(self.overlong, file, row, uuid)
        for row, uuid in part.held_out:
            _name(self.held_out, file, row, uuid)
        for row, uuid in part.left_out:
            _name(self.left_out, file, row, uuid)


def _name(entry: dict[str, Any], file: str, row: int, uuid: str | None) -> None:
    entry["count"] += 1
    if len(entry["rows"]) < NAMED_ROWS:
        entry["rows"].append({"file": file, "row": row, "uuid": uuid})


def check(
    tally: Tally,
    sources: list[Source],
    max_rejected_share: float | None,
    whole: bool,
    keep_rejected: Callable[[], Path | None],
) -> None:
    """Few enough rows were rejected; and of whole files some were read and some are left, unless a selection leaves them out.

    Args:
        keep_rejected: keeps the list of rejected rows though nothing else is kept, and says where it lies.

    Raises:
        Problem: else, with the most frequent reasons, and the first row that was rejected for the most frequent one.
    """
    rejected = sum(tally.reasons.values())
    frequent = "; ".join(f"{reason} ({count})" for reason, count in tally.reasons.most_common(3))
    where = sources[0].path if len(sources) == 1 else sources[0].path.parent
    if whole and tally.read == 0:
        raise Problem("no rows", where=where, found="an empty table", wanted="at least one row")
    if rejected:
        first = tally.examples[tally.reasons.most_common(1)[0][0]]
        frequent += f"; first {first['file']}, row {first['row']}: {first.get('detail') or first['reason']}"
    if max_rejected_share is not None and rejected > max_rejected_share * tally.read:
        raise Problem(
            "too many rows were rejected",
            where=where,
            found=f"{rejected} of {tally.read} rows ({rejected / tally.read:.2%}): {frequent}",
            wanted=f"at most {max_rejected_share:.2%}",
            fix=f"{_mend(keep_rejected())}, or raise the share",
        )
    if whole and tally.kept == 0 and not tally.left_out["count"]:
        raise Problem(
            "no row is left to train on",
            where=where,
            found=f"{tally.read} rows read, {rejected} rejected, {tally.overlong['count']} too long"
            + (f": {frequent}" if frequent else ""),
            wanted="at least one usable row",
            fix=_mend(keep_rejected())
            if rejected > tally.overlong["count"]
            else "raise --seq-length or give --overlong truncate-keep-eos",
        )


def _mend(listed: Path | None) -> str:
    seen = f"see each of them in {listed}; " if listed else ""
    return f"{seen}mend the rows; if other columns hold the texts, name those with --map-keys"


def overlong(file: str, entry: tuple[int, str | None, int], rules: Rules) -> Problem:
    """What `overlong="error"` says of a row."""
    row, uuid, tokens = entry
    return Problem(
        "a row is too long",
        where=f"{file}, row {row}" + (f" (uuid {uuid})" if uuid else ""),
        found=f"{tokens} tokens",
        wanted=f"fewer than --seq-length {rules.seq_length}",
        fix="raise --seq-length, or give --overlong drop or truncate-keep-eos",
    )
