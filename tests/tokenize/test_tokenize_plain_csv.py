"""What pyarrow reads of a csv file is what pandas reads, whatever stands in it; texts need no pandas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from places import SCRIPTS

from distillery.problems import Problem
from distillery.tokenize import csv_rows, plain_csv

WORDS = "one two three"
ODD = ["", " ", "7", "-1.5", "NA", "#N/A N/A", "True", "a b", "\t", "\0", "\ufeff", "\xa0", "\x85", "é"]
MARKS = ['"', '""', ",", "\n", "\r", "\r\n"]


def joined(*parts: str) -> Any:
    return st.lists(st.sampled_from([WORDS, WORDS, *parts]), max_size=4).map("".join)


quoted = joined(*ODD, *MARKS).map(lambda cell: '"' + cell.replace('"', '""') + '"')
plain = st.sampled_from([WORDS, f'"{WORDS}"', f'"{WORDS}, ""four""\n"', f"{WORDS} four"])
cells = st.one_of(plain, plain, plain, plain, quoted, quoted, joined(*ODD), joined(*ODD, *MARKS))
headers = st.sampled_from(
    [
        "a,b",
        "a,b",
        "a,b",
        '"a","b"',
        "\ufeffa,b",
        " a,b",
        "a,a",
        "a,",
        '"a\nb",c',
        '"a"x,b',
        'a"b",c',
        "1,2",
        "",
        "a\rb,c",
    ]
)
ends = st.sampled_from(["\n"] * 8 + ["\r\n", "\r", "\n\n", " \n", ""])
lines = st.tuples(cells, cells, ends).map(lambda line: f"{line[0]},{line[1]}{line[2]}")
odd_lines = st.tuples(st.lists(cells, max_size=3).map(",".join), ends).map("".join)
tables = st.tuples(headers, st.lists(lines | lines | lines | odd_lines, max_size=4)).map(
    lambda file: file[0] + "\n" + "".join(file[1])
)
lists = st.lists(cells, max_size=4).map(lambda rows: "\n".join(["a", *rows]))


# the rows of a second reading are still to come when the process ends
COUNTED = """
import sys
from pathlib import Path
from distillery.tokenize.readers import Source

source = Source(Path(sys.argv[1]))
print(sum(map(len, source.blocks(["a"]))), "pandas" in sys.modules)
begun = source.blocks(["a"])
next(begun)
"""


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pandas as pd

    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def doubtful(*_: Any) -> Any:
    raise plain_csv.Doubt


def read(path: Path, plain: bool) -> Any:
    """Names and rows, or that the file cannot be read; without what pyarrow reads if `plain` is false."""
    with pytest.MonkeyPatch.context() as patch:
        if not plain:
            patch.setattr(plain_csv, "columns_of", doubtful)
            patch.setattr(plain_csv, "rows", doubtful)
        try:
            names = csv_rows.columns_of(path)
            return names, [row for block in csv_rows.read(path, names, 2) for row in block]
        except Problem:
            return "damaged"


@pytest.mark.slow
@settings(max_examples=1000)
@given(content=tables | lists, size=st.sampled_from([3, 50, plain_csv.BLOCK]))
@example(f"a,b\n{WORDS},{WORDS}\n{WORDS},{WORDS}\n\r,{WORDS}\n", 50)  # pandas loses a field
@example(f"a\0b\n{WORDS}", 50)
@example("a\n\ufeff", 50)
def test_rows_are_those_of_pandas(tmp_path_factory: pytest.TempPathFactory, content: str, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain_csv, "BLOCK", size)
        found = read(path, True)
    assert found == read(path, False)


def test_texts_need_no_pandas(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"a": f"{WORDS} {number}", "b": f'{WORDS}, "4"' + "\n" * 200} for number in range(20_000)
    ]
    rows[7]["b"] = None
    path = write(tmp_path / "a.csv", rows)
    assert [row for block in plain_csv.rows(path, ["b", "a"], 64) for row in block] == rows
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, str(path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(SCRIPTS)},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("20000 False\n", "", 0)


def test_rows_before_a_doubt_come_once(tmp_path: Path) -> None:
    """pandas goes on where pyarrow stopped, in the middle of a block of either."""
    rows = [{"a": f"{WORDS} {number}"} for number in range(20_500)]
    rows[20_200] = {"a": "2"}
    path = write(tmp_path / "a.csv", rows)
    assert [row for block in csv_rows.read(path, ["a"], 64) for row in block] == rows


@pytest.mark.parametrize("at", [1, 2, 40])
def test_a_file_that_was_cut_is_damaged(tmp_path: Path, at: int) -> None:
    path = write(tmp_path / "a.csv", [{"a": f"{WORDS}, {number}"} for number in range(100)])
    content = path.read_bytes()
    path.write_bytes(content[: -at - 1])
    assert read(path, True) == read(path, False)
