"""Whole runs: any number of workers, merged shards, what a person sees of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from places import SCRIPTS
from terminals import on_a_terminal
from tokenize_runs import FLAGS, FULL, MANY, contents, merge, run, sequences, shard

from distillery.problems import Problem
from distillery.tokenize import origins
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles
from distillery.tokenize.row_spans import Recipe


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--seq-length", "300", "--pack"]])
def test_the_same_bytes_for_any_number_of_workers(more: list[str], tmp_path: Path) -> None:
    source = shard(tmp_path / "rows.parquet", MANY)
    outputs = []
    for workers in ("1", "2", "4"):
        prefix = tmp_path / f"w{workers}" / "d"
        prefix.parent.mkdir()
        run(source, prefix, "--workers", workers, *more)
        outputs.append(contents(prefix))
    assert outputs[0] == outputs[1] == outputs[2]
    assert sorted(outputs[0]) == sorted(
        [f"_{stem}_document.{kind}" for stem in PACKED_STEMS for kind in ("bin", "idx")]
        + ["_manifest.json", "_rows.parquet", "_rejected.jsonl"]
    )


def test_ten_shards_merged_are_one(tmp_path: Path) -> None:
    whole = run(shard(tmp_path / "all.parquet", MANY), tmp_path / "whole", "--seq-length", "150")
    prefixes = []
    for number in range(10):
        part = shard(tmp_path / f"s{number}.parquet", MANY[33 * number : 33 * number + 33], 33 * number)
        prefixes.append(tmp_path / f"part{number}")
        run(part, prefixes[-1], "--seq-length", "150")
    merged = merge(prefixes[::-1], tmp_path / "merged")
    data = [f"_{stem}_document.{kind}" for stem in PACKED_STEMS for kind in ("bin", "idx")]
    one, ten = contents(tmp_path / "whole"), contents(tmp_path / "merged")
    assert [one[name] for name in data] == [ten[name] for name in data]
    for key in (
        "rows",
        "kept",
        "tokens",
        "supervised_tokens",
        "documents",
        "rejected",
        "roles",
        "template",
        "tokenizer",
    ):
        assert merged[key] == whole[key], key
    assert [entry["name"] for entry in merged["inputs"]] == [f"s{number}.parquet" for number in range(10)]
    uuids = [
        pq.read_table(DatasetFiles(tmp_path / name).rows)["uuid"].to_pylist() for name in ("whole", "merged")
    ]
    assert uuids[0] == uuids[1]
    assert ten["_rejected.jsonl"].count(b"\n") == 2
    assert whole["dropped"]["overlong"]["count"] == merged["dropped"]["overlong"]["count"] > 0


def test_directories_are_merged_inputs(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (1, 0):
        shard(tmp_path / "in" / f"s{number}.parquet", MANY[33 * number : 33 * number + 33], 33 * number)
    manifest = run(tmp_path / "in", tmp_path / "d")
    assert [(entry["name"], entry["rows"]) for entry in manifest["inputs"]] == [
        ("s0.parquet", 33),
        ("s1.parquet", 33),
    ]
    rows = pq.read_table(DatasetFiles(tmp_path / "d").rows).to_pylist()
    assert rows[0] == {"shard": "s0.parquet", "row": 0, "uuid": "u0"}
    assert rows[-1] == {"shard": "s1.parquet", "row": 32, "uuid": "u65"}


def test_merging_what_does_not_belong_together(tmp_path: Path) -> None:
    source = shard(tmp_path / "a.parquet", MANY[:5])
    run(source, tmp_path / "a")
    run(source, tmp_path / "b", "--append-eod")
    with pytest.raises(Problem, match="differ in options"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "m")
    with pytest.raises(Problem, match="with itself"):
        merge([tmp_path / "a", tmp_path / "a"], tmp_path / "m")
    with pytest.raises(Problem, match="without a manifest"):
        merge([tmp_path / "a", tmp_path / "c"], tmp_path / "m")
    DatasetFiles(tmp_path / "a").bin("packed_labels").write_bytes(b"1234")
    with pytest.raises(Problem, match="is not the one that was written"):
        merge([tmp_path / "a"], tmp_path / "m")
    assert not list(tmp_path.glob("*m_*"))


def test_packed_rows_are_lists(tmp_path: Path) -> None:
    run(shard(tmp_path / "rows.parquet", MANY[:30]), tmp_path / "d", "--seq-length", "400", "--pack")
    rows = pq.read_table(DatasetFiles(tmp_path / "d").rows).to_pylist()
    assert len(rows) == len(sequences(tmp_path / "d", "packed_input_ids"))
    assert sorted(number for row in rows for number in row["row"]) == [n for n in range(30) if n != 7]
    assert all(row["uuid"] == [f"u{number}" for number in row["row"]] for row in rows)


@pytest.mark.slow
def test_more_parts_than_a_process_can_have_open(tmp_path: Path) -> None:
    run(shard(tmp_path / "rows.parquet", MANY[:3]), tmp_path / "part")
    prefixes = []
    for number in range(150):
        prefixes.append(tmp_path / f"p{number}")
        for ending in contents(tmp_path / "part"):
            os.link(tmp_path / f"part{ending}", tmp_path / f"p{number}{ending}")
    code = "import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))"
    code += f"; runpy.run_path({str(SCRIPTS / 'tokenize_merge.py')!r}, run_name='__main__')"
    command = [sys.executable, "-c", code, "--input-prefixes", *prefixes, "--output-prefix", tmp_path / "m"]
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(DatasetFiles(tmp_path / "m").rows).num_rows == 450


def test_rows_are_grouped_alike_however_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "GROUP", 3)
    rows = [("s.parquet", number, None if number % 2 else f"u{number}") for number in range(10)]
    made = []
    for name, size in (("one", 10), ("two", 1), ("three", 4)):
        writer = origins.Origins(tmp_path / name)
        for start in range(0, 10, size):
            writer.add(rows[start : start + size])
        writer.close()
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1] == made[2]
    metadata = pq.ParquetFile(tmp_path / "one").metadata
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [3, 3, 3, 1]
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "one").to_pylist()] == rows


def test_plain_text_is_merged_too(tmp_path: Path) -> None:
    """Pre-training text has one dataset for each column, no `_packed` in its names and nothing masked."""
    for number, texts in enumerate((["a b", "", "c"], ["long " * 40, "d"])):
        rows = [{"text": text, "other": text + "!"} for text in texts]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"s{number}.parquet")
        flags = ["--input", tmp_path / f"s{number}.parquet", "--output-prefix", tmp_path / f"p{number}"]
        flags += [
            "--tokenizer-name-or-path",
            FULL,
            "--handler-name",
            "GeneralPretrainHandler",
            "--append-eod",
        ]
        if number:  # plain text is what rows are where nothing is said
            del flags[flags.index("--handler-name") : flags.index("GeneralPretrainHandler") + 1]
        flags += ["--json-keys", "text", "other", "--seq-length", "100"]
        preprocess_data.main(preprocess_data.parser().parse_args(list(map(str, flags))))
    manifest = merge([tmp_path / "p1", tmp_path / "p0"], tmp_path / "m")
    assert (manifest["rows"], manifest["kept"], manifest["dropped"]["overlong"]["count"]) == (5, 4, 1)
    assert manifest["noted"]["empty text"]["count"] == 1
    hub = Recipe(FULL, "GeneralPretrainHandler").work().tokenizer
    bos, eos = hub.special_id("bos"), hub.special_id("eos")
    expected = {"text": ["a b", "c", "d"], "other": ["a b!", "!", "c!", "d!"]}
    for stem, texts in expected.items():
        assert sequences(tmp_path / "m", stem) == [[bos, *hub.encode(text), eos, eos] for text in texts]
    assert not list(tmp_path.glob("*_packed_*"))


def test_progress_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(shard(tmp_path / "rows.parquet", MANY), tmp_path / "d", "--log-interval", "100")
    shown = capsys.readouterr()
    assert [line.split(" (")[0] for line in shown.err.splitlines()[1:]] == [
        f"processed {n} rows" for n in (100, 200, 300)
    ]
    assert shown.err.startswith("encoder: exact (gigatoken was not verified")
    assert shown.out.startswith("330 rows: 328 kept, 2 rejected, 0 too long; 328 sequences, ")


def test_a_terminal_is_shown_how_far_it_is(tmp_path: Path) -> None:
    """Beside processes that are forked meanwhile; not at once, but for this test."""
    source = shard(tmp_path / "rows.parquet", MANY)
    script = SCRIPTS / "preprocess_data.py"
    program = (
        f"import runpy, sys; sys.path.insert(0, {str(SCRIPTS)!r}); from distillery import live;"
        f" live.PATIENCE = live.TICK = 0.002; runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", program, "--input", source, "--output-prefix", tmp_path / "d"]
    command += ["--tokenizer-name-or-path", FULL, *FLAGS, "--workers", "2", "--log-interval", "100"]
    shown = on_a_terminal(list(map(str, command)))
    assert re.search(r"\d+ rows  \d+ rows/s, [\d.]+ Mtok/s", shown), shown
    assert "330 rows: 328 kept" in shown and "processed" not in shown
