"""Arrow's arrays without pandas, against pyarrow's own."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from places import SCRIPTS

from distillery import arrow_arrays
from distillery.fetch import openr1

LEAVES = {
    pa.string(): st.text(st.characters(exclude_categories=["Cs"])),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.bool_(): st.booleans(),
}


def struct(fields):
    return pa.struct(fields.items())


KINDS = st.recursive(
    st.sampled_from(list(LEAVES)),
    lambda inner: (
        inner.map(pa.list_) | st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(struct)
    ),
    max_leaves=4,
)


def values(kind):
    if pa.types.is_list(kind):
        one = st.lists(values(kind.value_type), max_size=3)
    elif pa.types.is_struct(kind):
        one = st.fixed_dictionaries({}, optional={field.name: values(field.type) for field in kind})
    else:
        one = LEAVES[kind]
    return st.none() | one


def written(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd", store_schema=False)
    return stream.getvalue()


@given(st.data(), KINDS)
def test_values_are_those_of_pyarrow_down_to_the_files_bytes(data, kind):
    drawn = data.draw(st.lists(values(kind), max_size=12))
    made, wanted = arrow_arrays.array(drawn, kind), pa.array(drawn, kind)
    made.validate(full=True)
    assert made.equals(wanted) and made.type == kind and made.null_count == wanted.null_count
    assert written(pa.table({"x": made})) == written(pa.table({"x": wanted}))


def test_rows_of_a_shard_are_those_of_pyarrow():
    rows = [{"uuid": "a", "messages": [{"content": "x", "role": "user"}], "generations": None}, {}]
    assert arrow_arrays.table(rows, openr1.SHARD_SCHEMA).equals(
        pa.Table.from_pylist(rows, schema=openr1.SHARD_SCHEMA)
    )


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (pa.string(), 1),
        (pa.int64(), "1"),
        (pa.int64(), 1.5),
        (pa.int32(), 2**40),
        (pa.bool_(), "x"),
        (pa.list_(pa.string()), "x"),
    ],
)
def test_values_of_another_type_are_refused(kind, wrong):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        arrow_arrays.array([wrong], kind)
    with pytest.raises(NotImplementedError):
        arrow_arrays.array([1.0], pa.float64())


def test_what_imports_pandas_is_not_used():
    """Of pyarrow, by the files that do not import pandas themselves."""
    imports = re.compile(
        r"\bpa\.array\(|from_pylist\(|read_table\(|empty_table\(\)$|to_pandas_dtype\(", re.MULTILINE
    )
    texts = {path: path.read_text() for path in (SCRIPTS / "distillery").rglob("*.py")}
    assert [
        path.name for path, text in texts.items() if imports.search(text) and "import pandas" not in text
    ] == []


def test_a_shard_is_written_without_pandas(tmp_path):
    """pyarrow.array imports it, 0.4 CPU seconds of a command."""
    lines = [
        "import sys",
        "from pathlib import Path",
        "from distillery.fetch import openr1, synthetic",
        "from distillery.tokenize.origins import Origins",
        "openr1.write(synthetic.shard_rows(0, 0, 10), openr1.SHARD_SCHEMA, Path('s.parquet'))",
        "made = Origins(Path('rows.parquet'))",
        "made.add([('s', 0, 'a'), ('s', 1, None)])",
        "made.close()",
        "made.pack([[1], [0]])",
        "assert 'pandas' not in sys.modules",
    ]
    line = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(
        line, cwd=tmp_path, env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert pq.ParquetFile(tmp_path / "rows.parquet").read().to_pylist() == [
        {"shard": ["s"], "row": [1], "uuid": [None]},
        {"shard": ["s"], "row": [0], "uuid": ["a"]},
    ]
