"""The same rows in each format, packed or not, give the same tokens; packed files that are damaged are named."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from row_formats import MAKERS, in_csv, in_lines, zstd_stream
from tokenize_runs import contents, run

from distillery.problems import Problem, UsageProblem
from distillery.tokenize import readers
from distillery.tokenize.dataset_files import DatasetFiles

ROWS = [{"instruction": f"what is {n} + {n}?", "output": f'"{2 * n}",\nsays é {n}'} for n in range(200)]
FLAGS = ["--handler-name", "AlpacaStyleInstructionHandler", "--map-keys", '{"query": null}']


def test_the_same_rows_give_the_same_tokens(tmp_path: Path) -> None:
    made = {}
    for ending, maker in MAKERS.items():
        path = tmp_path / f"rows.{ending}"
        path.write_bytes(maker(ROWS))
        manifest = run(path, tmp_path / f"d-{ending}", *FLAGS)
        assert (manifest["rows"], manifest["kept"], manifest["noted"]) == (200, 200, {})
        assert manifest["inputs"][0]["name"] == path.name
        found = contents(DatasetFiles(tmp_path / f"d-{ending}").prefix)
        made[ending] = {name: each for name, each in found.items() if name.endswith((".bin", ".idx"))}
    assert len(made["parquet"]) == 6
    assert all(files == made["parquet"] for files in made.values())


def test_texts_in_each_format(tmp_path: Path) -> None:
    """Lines of text are rows of one column, which other formats can hold too."""
    lines = [row["instruction"] for row in ROWS]
    rows = [{"text": line} for line in lines]
    texts = {**MAKERS, "txt": lambda rows: "\n".join(row["text"] for row in rows).encode()}
    texts |= {"txt.gz": lambda rows: gzip.compress(texts["txt"](rows))}
    for ending, maker in texts.items():
        path = tmp_path / f"rows.{ending}"
        path.write_bytes(maker(rows))
        (source,) = readers.sources(path)
        assert [row["text"] for block in source.blocks(source.check(["text"])) for row in block] == lines


PACKED = ["jsonl.gz", "jsonl.zst", "csv.gz", "txt.gz", "txt.zst"]
DAMAGED = [(ending, damage) for ending in PACKED for damage in ("cut", "flipped", "other")]


# a frame of zstd may have no checksum, and pyarrow's have none
@pytest.mark.parametrize(
    ("ending", "damage"), [one for one in DAMAGED if one[0][-3:] + one[1] != "zstflipped"]
)
def test_damaged_packed_files(ending: str, damage: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(7).integers(97, 123, 60_000, np.uint8).tobytes().decode()
    rows = [{"text": noise[at : at + 60]} for at in range(0, len(noise), 60)]
    plain = {"j": in_lines, "c": in_csv, "t": lambda rows: "\n".join(row["text"] for row in rows).encode()}
    whole = (gzip.compress if ending.endswith("gz") else zstd_stream)(plain[ending[0]](rows))
    middle = len(whole) // 2
    content = {
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
        "other": b"PK\x03\x04 no such thing" * 9,
    }[damage]
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(Problem, match=rf"(?s)a {ending} file that cannot be read.*a\.{ending}"):
        for block in readers.sources(path)[0].blocks(["text"]):
            assert [row["text"] for row in block] != []


def test_endings_that_are_none(tmp_path: Path) -> None:
    for name in ("a.parquet.gz", "a.gz", "a.zip", "a", "a.jsonl.xz"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(UsageProblem, match=r"(?s)unknown kind.*\.jsonl.*\.gz or \.zst"):
            readers.sources(tmp_path / name)


def test_names_of_all_sorts(tmp_path: Path) -> None:
    for name in ("my data (1).jsonl", "it's “quoted”.jsonl", "数据 甲.jsonl.gz", "a.b-c;d&e$f.jsonl"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(in_lines(ROWS[:3])) if name.endswith("gz") else in_lines(ROWS[:3]))
        manifest = run(path, tmp_path / f"d {name}", *FLAGS)
        assert manifest["inputs"] == [manifest["inputs"][0] | {"name": name, "rows": 3}]
