"""Arrow's arrays of Python's values, without pandas.

`pyarrow.array` imports pandas, to see whether what it was given is of pandas: 0.4 CPU seconds of each command that writes
a row.
"""

from __future__ import annotations

import array as packed
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

NUMBERS = {pa.int32(): "i", pa.int64(): "q"}  # and array's letters of them


def table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """As `pyarrow.Table.from_pylist`: a table of these rows; what a row lacks is null."""
    columns = [array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """As `pyarrow.array` of texts, NUMBERS, booleans, and of lists and structs of these; None is null.

    Raises:
        TypeError, ValueError, OverflowError: a value is of another type.
        NotImplementedError: of this type none is made here.
    """
    if pa.types.is_string(kind):
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    there = np.fromiter((value is not None for value in values), bool, len(values))
    mask = None if there.all() else _bits(~there)
    if pa.types.is_list(kind):
        if wrong := [value for value in values if not isinstance(value, list | tuple | None)]:
            raise TypeError(f"no list: {wrong[0]!r}")
        lists = [value or () for value in values]
        ends = np.fromiter(itertools.accumulate(map(len, lists), initial=0), np.int32, len(lists) + 1)
        items = array(list(itertools.chain.from_iterable(lists)), kind.value_type)
        return pa.ListArray.from_arrays(_numbers(ends, pa.int32()), items, type=kind, mask=mask)
    if pa.types.is_struct(kind):
        fields = [array([(value or {}).get(one.name) for value in values], one.type) for one in kind]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=mask)
    if pa.types.is_boolean(kind):
        if wrong := [value for value in values if not isinstance(value, bool | None)]:
            raise TypeError(f"no boolean: {wrong[0]!r}")
        return _bits(np.array(values, bool), there)
    if kind in NUMBERS:  # which refuse what does not fit, as NumPy's arrays do not
        numbers = packed.array(NUMBERS[kind], [0 if value is None else value for value in values])
        return _numbers(numbers, kind, there)
    raise NotImplementedError(str(kind))


def _numbers(
    values: packed.array | np.ndarray, kind: pa.DataType, there: np.ndarray | None = None
) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [_packed(there), pa.py_buffer(values)])


def _bits(values: np.ndarray, there: np.ndarray | None = None) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), len(values), [_packed(there), _packed(values)])


def _packed(values: np.ndarray | None) -> pa.Buffer | None:
    """Booleans as Arrow holds them, eight a byte; nothing of validities that all hold."""
    return None if values is None else pa.py_buffer(np.packbits(values, bitorder="little"))
