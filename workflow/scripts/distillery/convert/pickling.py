"""The pickle inside a .pt file, without torch: written opcode by opcode, read through an allow-list.

Reading never imports or calls what a file names: a few harmless classes are known, whatever else lies in the
name spaces that training frameworks leave in their files (enums, optimizer and random states) becomes an inert
`Opaque`, and any other name is refused.
"""

from __future__ import annotations

import argparse
import collections
import io
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from distillery.convert.dtypes import of
from distillery.problems import Problem

# where pickled enums, dtypes, optimizer and rng states of Megatron and MindSpeed-LLM come from
INERT = (
    "torch",
    "megatron",
    "mindspeed",
    "mindspeed_llm",
    "modellink",
    "numpy",
    "transformer_engine",
    "apex",
)


@dataclass(frozen=True)
class TensorEntry:
    """A tensor in the pickle: which storage record, from which element on, its shape and stride."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    stride: tuple[int, ...] | None = None


class Opaque:
    """Stands for an object that is of no use here; takes any construction and any state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = args

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.arguments}"


def load(data: bytes, where: object) -> Any:
    """The object tree of a data.pkl, with `TensorEntry` leaves.

    Raises:
        Problem: the pickle names anything outside the allow-list, or is damaged.
    """
    reader = _Reader(io.BytesIO(data), encoding="utf-8")
    reader.where = where
    try:
        return reader.load()
    except Problem:
        raise
    except Exception as error:  # the unpickler raises anything on bad input, and all of it means the same
        raise Problem(
            "the checkpoint's pickle is damaged or not one that Megatron writes",
            where=where,
            found=f"{type(error).__name__}: {error}",
            fix="copy or convert the file again",
        ) from None


class _Reader(pickle.Unpickler):
    where: object = None

    def persistent_load(self, pid: tuple) -> tuple[str, str]:
        # ('storage', storage class, record key, device, elements)
        _, storage, key, _, _ = pid
        return (storage.__name__, str(key))

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("collections", "defaultdict"): _mapping,
            ("argparse", "Namespace"): _namespace,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("_codecs", "encode"): Opaque,  # how protocol 2 spells bytes, e.g. in random states
            ("_io", "BytesIO"): Opaque,
            ("io", "BytesIO"): Opaque,
            ("pathlib", "PosixPath"): Opaque,
        }
        if (module, name) in known:
            return known[module, name]
        if module in ("builtins", "__builtin__") and name in ("set", "frozenset", "dict", "list", "tuple"):
            return {"set": set, "frozenset": frozenset, "dict": dict, "list": list, "tuple": tuple}[name]
        if module == "torch" and name.endswith("Storage"):
            return type(name, (Opaque,), {})
        if module.partition(".")[0] in INERT:
            return type(f"{module}.{name}", (Opaque,), {})
        raise Problem(
            "the checkpoint's pickle wants to run code that no checkpoint needs: refused, nothing was run",
            where=self.where,
            found=f"{module}.{name}",
            wanted="tensors, plain values and argparse.Namespace",
            fix="do not trust this file; fetch it again from its source",
        )


def _mapping(*_: Any) -> dict[Any, Any]:
    """A defaultdict without its factory."""
    return {}


# a class of our own, so that no file can alter argparse's
class _namespace(argparse.Namespace):
    pass


def _tensor(storage: tuple[str, str], start: int, shape: tuple, stride: tuple, *_: Any) -> TensorEntry:
    return TensorEntry(storage[1], storage[0], tuple(shape), start, tuple(stride))


def _parameter(data: TensorEntry, *_: Any) -> TensorEntry:
    return data


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
