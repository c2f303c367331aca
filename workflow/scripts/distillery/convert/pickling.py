"""The pickle inside a .pt file, written opcode by opcode, without torch: the same objects give the same bytes."""

from __future__ import annotations

import argparse
import collections
import io
import struct
from dataclasses import dataclass
from typing import Any

from distillery.convert.dtypes import of


@dataclass(frozen=True)
class TensorEntry:
    """A tensor in the pickle: which storage record, from which element on, its shape and stride."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stride: tuple[int, ...] | None = None


def dump(value: Any) -> bytes:
    """A protocol 2 pickle that torch.load reads: plain values, OrderedDict, Namespace, contiguous `TensorEntry`."""
    out = io.BytesIO()
    out.write(b"\x80\x02")
    _put(out, value)
    out.write(b".")
    return out.getvalue()


def _put(out: io.BytesIO, value: Any) -> None:
    if value is None:
        out.write(b"N")
    elif isinstance(value, bool):
        out.write(b"\x88" if value else b"\x89")
    elif isinstance(value, int):
        _put_int(out, value)
    elif isinstance(value, float):
        out.write(b"G" + struct.pack(">d", value))
    elif isinstance(value, str):
        text = value.encode("utf-8")
        out.write(b"X" + struct.pack("<I", len(text)) + text)
    elif isinstance(value, TensorEntry):
        _put_tensor(out, value)
    elif isinstance(value, (tuple, list)):
        out.write(b"(" if isinstance(value, tuple) else b"](")
        for item in value:
            _put(out, item)
        out.write(b"t" if isinstance(value, tuple) else b"e")
    elif isinstance(value, collections.OrderedDict):
        out.write(b"ccollections\nOrderedDict\n)R")
        _put_items(out, value)
    elif isinstance(value, dict):
        out.write(b"}")
        _put_items(out, value)
    elif isinstance(value, argparse.Namespace):
        out.write(b"cargparse\nNamespace\n)\x81}")
        _put_items(out, vars(value))
        out.write(b"b")
    else:
        raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}: {value!r}")


def _put_items(out: io.BytesIO, mapping: dict[Any, Any]) -> None:
    out.write(b"(")
    for key, value in mapping.items():
        _put(out, key)
        _put(out, value)
    out.write(b"u")


def _put_int(out: io.BytesIO, value: int) -> None:
    if -(2**31) <= value < 2**31:
        out.write(b"J" + struct.pack("<i", value))
    else:
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        out.write(b"\x8a" + bytes([len(data)]) + data)


def _put_tensor(out: io.BytesIO, entry: TensorEntry) -> None:
    elements, stride = 1, []
    for size in reversed(entry.shape):
        stride.insert(0, elements)
        elements *= size
    out.write(b"ctorch._utils\n_rebuild_tensor_v2\n((")
    _put(out, "storage")
    out.write(f"ctorch\n{of(entry.dtype).storage}\n".encode())
    _put(out, entry.key)
    _put(out, "cpu")
    _put(out, elements)
    out.write(b"tQ")  # the tuple is the persistent id of the storage
    _put(out, 0)
    _put(out, entry.shape)
    _put(out, tuple(stride))
    _put(out, False)
    out.write(b"ccollections\nOrderedDict\n)RtR")
