"""Parquet from elsewhere: right rows, or a Problem with the file's name, within bounds that its size sets."""

from __future__ import annotations

import os
from pathlib import Path

import measured
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import FIXTURES

from distillery import parquet_files, parquet_pages
from distillery.problems import Problem

LONG = "a" * (100 << 20)


def written(path: Path, column: object, **how: object) -> Path:
    pq.write_table(pa.table({"problem": column}), path, **{"compression": "zstd", **how})
    return path


def same(rows: int, text: str) -> pa.Array:
    """One text in each of so many rows, stored once."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows), pa.array([text]))


BOMBS = {
    "six gigabytes of one long text": lambda path: written(path, same(64, LONG)),
    "one packed page": lambda path: written(path, [LONG[: 60 << 20]] * 5, use_dictionary=False),
    "rows without content": lambda path: written(path, pa.nulls(5_000_000, pa.string())),
    "a list of a million long texts": lambda path: written(
        path, pa.ListArray.from_arrays([0, 1_000_000], same(1_000_000, "a" * 100_000))
    ),
}


@pytest.mark.parametrize("dictionary", [True, False])
def test_a_file_without_rows_is_whole(tmp_path, dictionary):
    path = written(tmp_path / "void.parquet", pa.array([], pa.string()), use_dictionary=dictionary)
    assert parquet_files.rows(path) == []


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_file_takes_no_gigabytes(tmp_path, bomb):
    path = BOMBS[bomb](tmp_path / "bomb.parquet")
    assert path.stat().st_size < 20_000
    said = measured.refused(
        path.stat().st_size, "-c", measured.AS_COMMAND, "distillery.parquet_files", "rows", path
    )
    assert str(path) in said


@pytest.mark.parametrize(("rows", "text"), [(200, "a" * 100_000), (64, "b"), (1, "c" * 5_000_000)])
def test_what_is_only_well_packed_is_read(tmp_path, rows, text):
    path = written(tmp_path / "a.parquet", same(rows, text))
    assert parquet_files.rows(path) == [{"problem": text}] * rows


def test_the_footer_is_read_as_pyarrow_reads_it():
    path = FIXTURES / "tokenize/inputs/openr1_50.parquet"
    whole, groups = pq.read_metadata(path), parquet_pages.groups(path)
    assert [group.rows for group in groups] == [
        whole.row_group(number).num_rows for number in range(whole.num_row_groups)
    ]
    for number, group in enumerate(groups):
        for column, chunk in enumerate(group.chunks):
            truth = whole.row_group(number).column(column)
            assert chunk.name == truth.path_in_schema.split(".")[0]
            assert (chunk.values, chunk.unpacked) == (truth.num_values, truth.total_uncompressed_size)
            assert chunk.end - chunk.begin == truth.total_compressed_size
    assert parquet_files.rows(path) == pq.read_table(path).to_pylist()


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_many_long_texts_are_read_many_at_once(tmp_path, compression):
    """As the hub's shards are: pyarrow makes dictionaries of up to 1024 texts, of which none stands in each row."""
    texts = [f"{number} " + "text" * 5_000 for number in range(500)]
    path = written(tmp_path / "a.parquet", texts, compression=compression)
    batches = list(parquet_files.batches(path))
    assert [batch.num_rows for batch in batches] == [parquet_files.BATCH_ROWS] * 7 + [52]
    assert [text for batch in batches for text in batch["problem"].to_pylist()] == texts


@given(
    texts=st.lists(st.text(max_size=40) | st.just("long" * 50), min_size=1, max_size=60),
    compression=st.sampled_from(["none", "zstd"]),
    counted=st.sampled_from([3, parquet_pages.COUNTED]),
)
def test_the_longest_value_of_a_dictionary_bounds_the_rows(tmp_path_factory, texts, compression, counted):
    path = written(tmp_path_factory.mktemp("long") / "a.parquet", texts, compression=compression)
    (group,) = parquet_pages.groups(path)
    most = group.chunks[0].unpacked
    longest = max(1, *(len(text.encode()) for text in texts))
    bound = max(min(64, most // 4 // longest), 1) if longest * len(texts) > most else 64
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_pages, "COUNTED", counted)
        try:
            rows = parquet_pages.rows_at_once(path, group, None, most, 64)
        except ValueError:  # what is behind the first three values counts as one
            assert counted == 3 and len(set(texts)) > counted
        else:
            assert rows == bound if len(set(texts)) <= counted else rows <= bound


@pytest.mark.faults
def test_a_turned_bit_ends_no_process(tmp_path):
    """pyarrow aborts on some of them; each is read in one child, which says what came of it."""
    source = written(tmp_path / "a.parquet", [f"text {number}" for number in range(8)]).read_bytes()
    path, (ours, theirs) = tmp_path / "flipped.parquet", os.pipe()
    child = os.fork()
    if not child:
        for at in range(len(source)):
            path.write_bytes(source[:at] + bytes([source[at] ^ 1 << at % 8]) + source[at + 1 :])
            try:
                parquet_files.rows(path)
                came = b"r"
            except Problem as problem:
                came = b"p" if str(path) in str(problem) else b"?"
            except BaseException:
                came = b"!"
            os.write(theirs, came)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        came = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, f"byte {len(came)}"
    assert len(came) == len(source) and set(came) <= set(b"rp") and came.count(b"p") > 50
