"""Rows of a problem set's files, each with the place that a message names: files, folders that were fetched, members of wheels."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from distillery import digests, dotted, json_files, source_files, whole_text
from distillery.fetch import wheel
from distillery.fetch.problem_columns import Column
from distillery.problems import Problem
from distillery.provenance import canonical
from distillery.tokenize import readers

One = TypeVar("One")
KEY = "key"  # the column of a record's name, where records are the values of an object


class Row(NamedTuple):
    """A row and the file and number that it has there, as words."""

    where: str
    values: Mapping[str, Any]


@contextmanager
def opened(inputs: Sequence[Path], patterns: Sequence[str]) -> Iterator[dict[str, Path]]:
    """The files that inputs are or hold, by their names in messages; a wheel's members are there while this is open.

    Args:
        inputs: files, folders with a manifest, or wheels.
        patterns: which files of folders and wheels; none takes all of them.

    Raises:
        Problem: an input that is not there, or a pattern that selects nothing.
    """
    found: dict[str, Path] = {}
    with ExitStack() as stack:
        for path in inputs:
            if path.is_dir():
                names = [
                    str(one["name"]) for one in digests.read_json(path / digests.MANIFEST).records("files")
                ]
                found |= {name: path / name for name in _chosen(names, patterns, path)}
            elif path.suffix == ".whl":
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                for name in _chosen(wheel.members(path), patterns, path):
                    found[name] = folder / f"{len(found)}-{Path(name).name}"
                    with wheel.member(path, name) as stream:
                        found[name].write_bytes(stream.read())
            elif path.is_file():
                found[str(path)] = path
            else:
                raise Problem("no such file", where=path, fix="correct the path, or fetch the file")
        source_files.one_format(found, ", ".join(map(str, inputs)))
        yield found


def _chosen(names: list[str], patterns: Sequence[str], where: Path) -> list[str]:
    return source_files.chosen(names, patterns, where) if patterns else sorted(names)


def read(
    found: Mapping[str, Path], records: str | None, wanted: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """All rows, file by file, of the wanted columns.

    Args:
        records: dotted key of the rows in a .json file that is one object; None where rows are the file's own.
        wanted: columns that each file must have, but for `optional` ones.

    Raises:
        Problem: a file that cannot be read, or without a wanted column.
    """
    for name, path in found.items():
        if records is not None:
            rows = _records(name, path, records)
            columns = list(dict.fromkeys(key for row in rows for key in row))
            _check(name, columns, wanted, optional)
            yield from (Row(f"{name}, row {number}", row) for number, row in enumerate(rows))
            continue
        (source,) = readers.sources(path)
        columns = source.columns()
        _check(name, columns, wanted, optional)
        named = dict.fromkeys(dotted.column(one, columns) for one in wanted)
        asked = [one for one in named if one in columns]
        number = 0
        for block in source.blocks(asked):
            for values in block:
                whole_text.check_value(values, f"{name}, row {number}")
                yield Row(f"{name}, row {number}", values)
                number += 1


def _check(name: str, columns: Sequence[str], wanted: Sequence[str], optional: Sequence[str]) -> None:
    for column in dict.fromkeys(wanted):
        if dotted.column(column, columns) not in columns and column not in optional:
            raise Problem(
                f"a problem set needs the column {column}",
                where=name,
                found=", ".join(columns) or "no columns",
                wanted=column,
                fix="name the file's own column in the configuration: columns: {problem: NAME, answer: NAME}",
            )


def _records(name: str, path: Path, key: str) -> list[dict[str, Any]]:
    value: Any = json_files.read(path).at(name)
    for part in key.split("."):
        if not isinstance(value, dict):
            raise Problem(
                "no object to look for records in",
                where=f"{name}, {key}",
                found=f"{value!r:.80}",
                wanted=part,
            )
        value = value[part]
    if isinstance(value, dict):
        value = [{KEY: one, **row} if isinstance(row, dict) else row for one, row in sorted(value.items())]
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Problem(
            "no records",
            where=f"{name}, {key}",
            found=f"{value!r:.80}",
            wanted="objects, in a list or by their names",
        )
    return value


def asked_once(rows: Sequence[Row], uuid: Column, problem: Column) -> tuple[list[Row], list[Row]]:
    """(rows, those that ask what an earlier one does): the same uuid, or without one the same question, which is not empty."""
    seen: set[str] = set()
    first, again = [], []
    for row in rows:
        said = (
            str(one)
            for one in (uuid.value(row.values), problem.value(row.values))
            if isinstance(one, (str, int))
        )
        told = next(filter(str.strip, said), None)
        (again if told in seen else first).append(row)
        if told is not None:
            seen.add(told)
    return first, again


def filtered(rows: list[Row], wanted: Mapping[str, Any]) -> list[Row]:
    """Rows with the wanted values; 5 and "5" are one value, for a .csv has no types."""
    for name, value in wanted.items():
        accepted = {_word(one) for one in (value if isinstance(value, list) else [value])}
        left = [row for row in rows if _word(row.values.get(name)) in accepted]
        if not left:
            seen = list(dict.fromkeys(_word(row.values.get(name)) for row in rows))
            raise Problem(
                "a filter leaves no row",
                where=f"column {name}",
                found=", ".join(seen[:10]) + (" ..." if len(seen) > 10 else ""),
                wanted=" or ".join(sorted(accepted)),
                fix="correct the value, or leave the filter out",
            )
        rows = left
    return rows


def _word(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def taken(rows: list[One], most: int | None, sample: Mapping[str, int] | None) -> list[One]:
    """The first `most` rows, and of those as many as `sample` says, by a digest of its seed and the row's number.

    Raises:
        Problem: fewer rows than are to be drawn.
    """
    rows = rows[:most]
    if sample is None:
        return rows
    if sample["rows"] > len(rows):
        raise Problem(
            "too few rows to draw from", where="sample.rows", found=len(rows), wanted=sample["rows"]
        )

    def drawn(number: int) -> bytes:
        return hashlib.sha256(f"{sample['seed']}/{number}".encode()).digest()

    return [rows[number] for number in sorted(sorted(range(len(rows)), key=drawn)[: sample["rows"]])]
