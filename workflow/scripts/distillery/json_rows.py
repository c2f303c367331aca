"""Small files of JSON rows as people write them: lines or one array, packed or not, with a byte order mark or without.

    for number, row in json_rows.read(path): ...

Lines end at \\n and nowhere else: U+2028, U+2029 and U+0085 may stand in a text.
"""

from __future__ import annotations

import codecs
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from distillery import json_files, source_files, whole_text
from distillery.problems import Problem

BOM, SPARE = codecs.BOM_UTF8, 8 << 20  # bytes, unpacked, that any packed file may hold
PIECE = 1 << 20  # bytes read at a time: a stream makes room for as many as it is asked for


def read(path: Path) -> Iterator[tuple[int, json_files.Record]]:
    """The objects of a file of JSON lines, or of one that is an array of them; packed if its name ends in .gz or .zst.

    Yields:
        Each with the number of its line, or of its place in the array, from 1.

    Raises:
        Problem: as `json_files.read`, naming the line or the place; text without a UTF-8 form; or what packs it is damaged, or
            holds far more than it.
    """
    most = source_files.held(path, SPARE)
    with source_files.opened(path) as stream:
        try:
            pieces, size = [], 0
            while size <= most and (piece := stream.read(PIECE)):
                pieces.append(piece)
                size += len(piece)
        except (OSError, EOFError, zlib.error) as error:
            raise Problem(
                "a packed file that cannot be read", where=path, found=error, fix=json_files.MAKE_AGAIN
            ) from None
    if size > most:
        raise Problem(
            "a packed file that unpacks to far more than itself: refused",
            where=path,
            found=f"{path.stat().st_size} bytes, and more than {most} in it",
            fix="unpack it, and name the unpacked file",
        )
    data = b"".join(pieces)
    if data.removeprefix(BOM).lstrip().startswith(b"["):
        for number, one in enumerate(json_files.parse(data, path, list), 1):
            yield number, _row(json.dumps(one).encode(), f"{path}, row {number}")
        return
    for number, line in enumerate(io.BytesIO(data), 1):
        if line.removeprefix(BOM).strip():
            yield number, _row(line, f"{path}, line {number}")


def _row(data: bytes, where: str) -> json_files.Record:
    row = json_files.parse(data, where)
    if whole_text.ESCAPED.search(data):
        whole_text.check_value(row, where)
    return row
