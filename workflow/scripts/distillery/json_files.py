"""JSON files that lie beside data and weights: read with distrust, so that a broken one is named and not stumbled over.

    manifest = json_files.read(path)              # a Record, or a Problem that names the file
    manifest["payload_digest"]                    # a missing key is a Problem that names file and key
    manifest.typed("tokens", int, least=0)        # so is a value of another type or beyond its range

A Record is a dict: whoever passes it on, or compares it, need not know. Records below it name their own place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from distillery import json_growth, json_shapes
from distillery.problems import Problem

Kind = TypeVar("Kind")
NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
MAKE_AGAIN = "make it again, or fetch it again"
DEEPEST = 100  # levels: transformers' own files have five


class Record(dict):
    """An object of a JSON file: keys that are missing and values of other types are Problems."""

    where: str = "JSON"

    def at(self, where: object) -> Record:
        """This record, known to stand there; so do those below it."""
        _name(self, str(where), 0)
        return self

    def __missing__(self, key: str) -> Any:
        raise Problem(
            "a key is missing",
            where=f"{self.where}, {key}",
            found=f"only {', '.join(map(str, self)) or 'an empty object'}"[:300],
            wanted=key,
            fix=MAKE_AGAIN,
        )

    def typed(
        self,
        key: str,
        kind: type[Kind],
        default: Any = None,
        *,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> Any:
        """The value of a key: of this kind (a whole number is a float too, true is no number).

        Args:
            default: what a missing key, or null, stands for; without one they are Problems.
            least, most: of a number; not a number and infinity are none.

        Raises:
            Problem: naming file, key, what was found and what was wanted.
        """
        value = self.get(key)
        if value is None:
            if default is not None:
                return default
            value = self[key]  # a missing key says so
        fits = isinstance(value, int | float if kind is float else kind)
        number = kind in (int, float)
        if (
            not fits
            or (isinstance(value, bool) and kind is not bool)
            or (number and not (least <= value <= most and math.isfinite(value)))
        ):
            more = f" from {least:g}" * (least > -math.inf) + f" to {most:g}" * (most < math.inf)
            raise _unusable(f"{self.where}, {key}", value, f"{NAMES[kind]}{more}")
        return value

    def records(self, key: str) -> list[Record]:
        """The value of a key that holds a list of objects."""
        listed = self.typed(key, list)
        for at, one in enumerate(listed):
            if not isinstance(one, Record):
                raise _unusable(f"{self.where}, {key}.{at}", one, NAMES[dict])
        return listed


def read(path: Path, kind: type[Kind] = dict) -> Any:  # type: ignore[assignment]
    """The content of a JSON file, a byte order mark before it or not; objects as Records.

    Args:
        kind: of the outermost value.

    Raises:
        Problem: not UTF-8, not JSON, cut, of another kind, or nested beyond sense; names the file and the place in it.
        OSError: the file cannot be read.
    """
    return parse(path.read_bytes(), path, kind)


def lines(path: Path) -> Iterator[Record]:
    """The objects of a file of JSON lines, each known by its line's number; empty lines are none.

    Raises:
        Problem: as `read`, naming the line.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield parse(line, f"{path}, line {number}")


def by(key: str, rows: Iterable[Record], where: object) -> Record:
    """{value of `key`: row}, from which asking for another value is a Problem that names `where`."""
    found = Record((row[key], row) for row in rows)
    found.where = f"{where}, rows by {key}"
    return found


def parse(data: bytes, where: object, kind: type[Kind] = dict) -> Any:  # type: ignore[assignment]
    """As `read`, of bytes that were read already; `where` names them."""
    json_growth.check(data, where)
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=Record)
    except UnicodeDecodeError as error:
        raise Problem(
            "not UTF-8",
            where=f"{where}, byte {error.start}",
            found=data[error.start : error.start + 8],
            wanted="JSON in UTF-8",
            fix=MAKE_AGAIN,
        ) from None
    except (ValueError, RecursionError) as error:
        what = (
            "an empty file"
            if not data.strip()
            else "nested too deeply"
            if isinstance(error, RecursionError)
            else error
        )
        raise Problem("not JSON", where=where, found=what, wanted=NAMES[kind], fix=MAKE_AGAIN) from None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Problem(
            "JSON of another kind", where=where, found=repr(value)[:300], wanted=NAMES[kind], fix=MAKE_AGAIN
        )
    _name(value, str(where), 0)
    fit(value, json_shapes.of(where), str(where))
    return value


def loads(text: str | bytes) -> Any:
    """The value of JSON text that anybody may have written, where a caller has words of its own for what is none.

    Raises:
        ValueError: no JSON, not UTF-8, or nested beyond what Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def fit(value: Any, shape: Any, where: str) -> None:
    """Hold what the steps leave for one another against what json_shapes says of it.

    Raises:
        Problem: names the place, what was found and what was wanted.
    """
    if isinstance(shape, json_shapes.Maybe):
        if value is not None:
            fit(value, shape.shape, where)
    elif isinstance(shape, json_shapes.Each | dict):
        _is(value, dict, where)
        shapes = dict.fromkeys(value, shape.shape) if isinstance(shape, json_shapes.Each) else shape
        for key in shapes.keys() & value.keys():
            fit(value[key], shapes[key], f"{where}, {key}")
    elif isinstance(shape, list):
        _is(value, list, where)
        for at, one in enumerate(value):
            fit(one, shape[0], f"{where}.{at}")
    elif isinstance(shape, re.Pattern):
        _is(value, str, where)
        if not shape.fullmatch(value):
            raise _unusable(where, value, f"a text of the form {shape.pattern}")
    elif isinstance(shape, json_shapes.Place):
        _is(value, str, where)
        if not shape.fits(value):
            raise _unusable(where, value, str(shape))
    elif shape is not None:
        _is(value, shape, where)


def _is(value: Any, kind: type, where: str) -> None:
    """A value is of a kind: a whole number is a float too, true is no number, infinity and not a number are none."""
    fits = isinstance(value, int | float if kind is float else kind)
    if (
        not fits
        or (isinstance(value, bool) and kind is not bool)
        or (kind is float and not math.isfinite(value))
    ):
        raise _unusable(where, value, NAMES[kind])


def _unusable(where: str, value: Any, wanted: str) -> Problem:
    return Problem(
        "a value that cannot be used",
        where=where,
        found=repr(value)[:300],
        wanted=wanted,
        fix=MAKE_AGAIN,
    )


def _name(value: Any, where: str, depth: int) -> None:
    """Tell each Record where it stands."""
    if depth > DEEPEST:
        raise Problem(
            "not JSON that anything here writes",
            where=where,
            found=f"more than {DEEPEST} levels",
            fix=MAKE_AGAIN,
        )
    if isinstance(value, Record):
        value.where = where
        for key, one in value.items():
            if isinstance(one, dict | list):
                _name(one, f"{where}, {key}", depth + 1)
    elif isinstance(value, list):
        for at, one in enumerate(value):
            if isinstance(one, dict | list):
                _name(one, f"{where}.{at}", depth + 1)
