"""Rows are those that `datasets.load_dataset` reads from the same file, in all formats."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import SCRIPTS
from read_rows import ours, write

from distillery.problems import Problem, UsageProblem
from distillery.tokenize import readers, text_readers

ROWS = [
    {
        "instruction": 'a "quoted", text\nwith é \u2028 lines',
        "input": None,
        "output": "1",
        "history": [["q", "r"]],
    },
    {"instruction": "", "input": "  x ", "output": "NA", "history": []},
    {"instruction": "c\r\nd\te", "input": "\U0001f642 ﷽", "output": None, "history": None},
]
NAMES = {"json": "json", "jsonl": "json", "csv": "csv", "txt": "text", "parquet": "parquet", "arrow": "arrow"}


def theirs(path: Path, cache: Path) -> list[dict]:
    import datasets

    datasets.disable_progress_bars()
    name = NAMES[path.suffix[1:]]
    return datasets.load_dataset(name, data_files=str(path), split="train", cache_dir=str(cache)).to_list()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
TEXTS = {
    "lines.jsonl": LINES,
    "lines.json": LINES,
    "no_final_newline.jsonl": LINES.rstrip("\n"),
    "blank_lines.jsonl": LINES.replace("\n", "\n\n"),
    "crlf.jsonl": LINES.replace("\n", "\r\n"),
    "escapes.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "bom.jsonl": "\ufeff" + LINES,
    "array.json": json.dumps(ROWS, ensure_ascii=False),
    "array_indented.json": json.dumps(ROWS, indent=2),
    "one_object.json": json.dumps(ROWS[0], indent=2),
    "missing_keys.jsonl": '{"a": "x"}\n{"b": "y", "a": null}\n{"c": {"d": [1, {"e": "f"}]}}\n',
    "nested.jsonl": '{"m": [{"role": "user", "content": "a"}, {"role": "x"}]}\n{"m": []}\n{"m": null}\n',
    "strings.json": '["a", "b\\n"]',
    "numbers.jsonl": '{"i": 1, "f": 1.5, "b": true, "big": 9007199254740993}\n{"i": -2, "f": 2, "b": false, "big": 1}\n',
    "quotes.csv": 'instruction,input,output\n"a ""b"", c",,1\n"multi\nline",NA,"x"\n é ,"",null\n',
    "numbers.csv": "instruction,output,flag\n007,1,True\n2,,False\n",
    "floats.csv": "a,b\n1.50,x\nnan,\n-3,None\n",
    "crlf.csv": "a,b\r\n1,x\r\n2,y\r\n",
    "bom.csv": "\ufeffa,b\n1,x\n",
    "blank_lines.csv": "a,b\n\n1,x\n\n2,y\n",
    "lines.txt": "first\n\n third \r\nfourth\rfifth\u2028same\x0b\x0c\x85line\n",
    "no_final_newline.txt": "a\nb",
    "bom.txt": "\ufeffa\n",
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_formats(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, TEXTS[name])
    assert ours(path) == theirs(path, tmp_path / "cache")


def columns_of(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
def test_binary_formats(kind: str, tmp_path: Path) -> None:
    table = columns_of(ROWS * 200)
    path = tmp_path / ("rows.parquet" if kind == "parquet" else "rows.arrow")
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=170)
    else:
        make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=150)
    assert ours(path) == theirs(path, tmp_path / "cache") == ROWS * 200
    assert ours(path, ["output"]) == [{"output": row["output"]} for row in ROWS * 200]


def test_json_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that straddle the buffer, characters that straddle a read."""
    rows = [{"text": 'é\U0001f642 \\ " ]' * (n % 40), "n": n} for n in range(300)]
    lines = write(tmp_path / "a.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    array = write(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False))
    for chunk in (1, 7, 64, 5000):
        monkeypatch.setattr(text_readers, "CHUNK", chunk)
        assert ours(lines) == rows
        assert ours(array) == rows


def test_a_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write(tmp_path / f"{name}.jsonl", f'{{"text": "{name}"}}\n')
    write(tmp_path / "README.md", "no data")
    write(tmp_path / "a.jsonl.sha256", "0  a.jsonl")
    write(tmp_path / ".hidden.jsonl", "{")
    assert [row["text"] for row in ours(tmp_path)] == ["a", "b", "c"]
    write(tmp_path / "d.json", '[{"text": "d"}]')
    assert [row["text"] for row in ours(tmp_path)] == ["a", "b", "c", "d"]
    write(tmp_path / "e.csv", "text\ne\n")
    with pytest.raises(Problem, match=r"csv \(e\.csv\), json \(a\.jsonl\)"):
        ours(tmp_path)


def test_inputs_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="no such input"):
        ours(tmp_path / "nothing")
    with pytest.raises(UsageProblem, match="no data files"):
        ours(tmp_path)
    with pytest.raises(UsageProblem, match="unknown kind"):
        ours(write(tmp_path / "a.xlsx", "x"))


def test_a_malformed_row_is_reported_where_it_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at the end of the file, all of which would be in memory by then."""
    monkeypatch.setattr(text_readers, "CHUNK", 100)
    rows = [f'{{"text": "{"x" * 30}"}}\n'] * 1000
    path = write(tmp_path / "a.jsonl", rows[0] + '{"text": "open\n' + "".join(rows[1:]) + "\\")
    with path.open("rb+") as stream:  # not UTF-8: were it read, the message would say so
        stream.seek(20_000)
        stream.write(b"\xff")
    with pytest.raises(Problem, match="row 1.*\n.*Invalid control character"):
        ours(path)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_process_may_end_before_its_rows(name: str, tmp_path: Path) -> None:
    lines = {"a.txt": "one\n", "a.csv": "one two three\n", "a.jsonl": '{"text": "one"}\n'}
    path = write(tmp_path / name, "text\n" * (name == "a.csv") + lines[name] * 5000)
    begun = "from distillery.tokenize.readers import *; rows = Source(Path(sys.argv[1])).blocks(['text']); next(rows)"
    command = [sys.executable, "-c", f"import sys; {begun}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(SCRIPTS)})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_truncated_arrow_stream_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    table = columns_of(ROWS * 300)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    content = path.read_bytes()
    with pytest.raises(Problem, match="record batch [12]"):
        ours(write(path, content[: len(content) * 2 // 3]))


def test_compressed_arrow_decodes_only_what_is_wanted(tmp_path: Path) -> None:
    """A column that is damaged, but not asked for, is not looked at."""
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["a"] * 50, "other": ["b" * 5000] * 50})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    content = bytearray(path.read_bytes())
    last = content.rindex(b"\x28\xb5\x2f\xfd")  # zstd's magic of the last buffer: the texts of `other`
    content[last : last + 12] = b"\xff" * 12
    write(path, bytes(content))
    assert ours(path, ["text"]) == [{"text": "a"}] * 50
    with pytest.raises(Problem, match="record batch 0"):
        ours(path, ["other"])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    source = readers.sources(write(tmp_path / "a.jsonl", '{"messages": []}\n'))[0]
    with pytest.raises(Problem, match=r"(?s)column conversations.*found:  messages"):
        source.check(["conversations"])
    assert source.check(["messages"], ("uuid",)) == ["messages"]
