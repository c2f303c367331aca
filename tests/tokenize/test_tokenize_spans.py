"""A file that several jobs read, each a span of its rows: merged, what they wrote is what one job writes, byte for byte."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from row_formats import MAKERS
from tokenize_runs import contents, merge, run

from distillery import json_files, shard_names
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import merge as merging
from distillery.tokenize import origins, readers, taken_rows
from distillery.tokenize.dataset_files import DatasetFiles

ROWS = [{"instruction": f"what is {n}?", "output": f'"{2 * n}",\nsays é {n}'} for n in range(170)]
ROWS[3]["output"] = ""  # noted
ROWS[90]["instruction"] = "long " * 90  # dropped
ROWS[169]["output"] = None  # rejected
FLAGS = ["--handler-name", "AlpacaStyleInstructionHandler", "--map-keys", '{"query": null}']
FLAGS += ["--seq-length", "150"]


def divided(path: Path, folder: Path, count: int, *flags: str) -> list[Path]:
    """Prefixes of a file's spans, named as the workflow names them."""
    found = [folder / name for name in shard_names.batches([path.name], 1, count)]
    for prefix in found:
        run(path, prefix, "--row-span", str(shard_names.span(prefix.name)), *flags)
    return found


@pytest.mark.parametrize("ending", MAKERS)
def test_spans_merged_are_the_whole(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (origins, merging):
        monkeypatch.setattr(module, "GROUP", 20)
    path = tmp_path / f"rows.{ending}"
    path.write_bytes(MAKERS[ending](ROWS))
    run(path, tmp_path / "rows", *FLAGS)
    merge([tmp_path / "rows"], tmp_path / "a" / "d")
    whole = contents(tmp_path / "a" / "d")
    assert b"_rejected.jsonl" in "".join(whole).encode() and len(whole) == 9
    assert json.loads(whole["_manifest.json"])["dropped"]["overlong"]["count"] == 1
    parts = divided(path, tmp_path / "parts", 3, *FLAGS, "--workers", "2" if ending == "parquet" else "1")
    merge(parts[::-1], tmp_path / "b" / "d")
    assert contents(tmp_path / "b" / "d") == whole


def test_spans_of_texts(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{n} lines\n" for n in range(9)).encode()))
    flags = ["--handler-name", "GeneralPretrainHandler", "--text-labels", "--map-keys", '{"text": "text"}']
    run(path, tmp_path / "lines", *flags)
    merge([tmp_path / "lines"], tmp_path / "a" / "d")
    # more jobs than rows: some have none
    merge(divided(path, tmp_path / "parts", 12, *flags), tmp_path / "b" / "d")
    assert contents(tmp_path / "a" / "d") == contents(tmp_path / "b" / "d")


def test_a_row_is_in_one_span(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for rows in (0, 1, 5, 64, 131):
        path.write_text("".join(f'{{"a": {n}}}\n' for n in range(rows)))
        source = readers.Source(path)
        for total in (1, 2, 7):
            found, places = [], []
            for number in range(1, total + 1):
                skip, most = taken_rows.window(source, number, total)
                with readers.Reader() as reader:
                    for span in taken_rows.spans([source], ["a"] if rows else [], most, skip=skip):
                        for first, block in reader.blocks(span):
                            found += [row["a"] for row in block]
                            places += range(first, first + len(block))
            assert found == places == list(range(rows))


def test_spans_that_are_not_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(MAKERS["jsonl"](ROWS))
    parts = divided(path, tmp_path, 3, *FLAGS)
    for missing, words in enumerate(("span 1/3", "span 2/3", "span 3/3")):
        with pytest.raises(Problem, match=rf"(?s)spans of a file that are not all.*{words} of rows\.jsonl"):
            merge([part for at, part in enumerate(parts) if at != missing], tmp_path / "d")
    # one that was made of the file as it was before
    path.write_bytes(MAKERS["jsonl"](ROWS[:-1]))
    run(path, parts[1], "--row-span", "2/3", *FLAGS)
    with pytest.raises(Problem, match=r"(?s)not all.*wanted: +span 2/3 of rows\.jsonl.*same file"):
        merge(parts, tmp_path / "d")
    assert not list(tmp_path.glob("d_*"))


def test_nothing_left_in_any_span(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(MAKERS["jsonl"]([ROWS[169]] * 4))
    parts = divided(path, tmp_path, 2, *FLAGS)
    assert json_files.read(DatasetFiles(parts[0]).manifest)["kept"] == 0
    with pytest.raises(Problem, match=r"(?s)no row is left to train on.*4 rows read, 4 rejected"):
        merge(parts, tmp_path / "d")


@pytest.mark.parametrize(
    "flags",
    [
        ["--row-span", "0/2"],
        ["--row-span", "3/2"],
        ["--row-span", "1/2", "--pack"],
        ["--row-span", "1/2", "--max-samples", "3"],
    ],
)
def test_spans_that_are_none(flags: list[str], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(MAKERS["jsonl"](ROWS))
    with pytest.raises(UsageProblem, match="--row-span"):
        run(path, tmp_path / "d", *FLAGS, *flags)
