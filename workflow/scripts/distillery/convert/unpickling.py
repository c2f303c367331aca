"""Reading the pickle inside a .pt file through an allow-list, without torch.

Nothing that a file names is imported or called: a few harmless classes are known, whatever else lies in the
name spaces that training frameworks leave in their files (enums, optimizer and random states) becomes an inert
`Opaque`, and any other name is refused.

Two dialects are read: torch's own (with the tensors of torch_npu), and that of MSAdapter, MindSpore's stand-in for
torch. There a storage's type is a plain string, each tensor is wrapped in `_rebuild_from_type_v2`, modules are named
torch.* or msadapter.*, and types are MindSpore's (real files: tests/fixtures/convert/msadapter). A record holds the
tensor's own elements in C order, as MindSpore's `get_bytes` gives them, and a stride that says otherwise tells where
they lay in memory: measured on views in MindSpore 2.7.1 and 2.10.
"""

from __future__ import annotations

import argparse
import collections
import io
import math
import pickle
from typing import Any, NamedTuple

from distillery.convert import pickle_bounds
from distillery.convert.pickling import TensorEntry
from distillery.problems import Problem

# whose names for rebuilding a tensor are known
TORCHES = ("torch", "torch_npu", "msadapter")
# where pickled enums, dtypes, optimizer and rng states of Megatron and MindSpeed-LLM come from
INERT = (
    *TORCHES,
    "mindspore",
    "megatron",
    "mindspeed",
    "mindspeed_llm",
    "modellink",
    "numpy",
    "transformer_engine",
    "apex",
)


class Opaque:
    """Stands for an object that is of no use here; takes any construction and any state."""

    arguments: tuple[Any, ...] = ()  # of one that was made without a call

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
        Problem: the pickle names anything outside the allow-list, is damaged, or would grow far beyond its size.
    """
    reader = _Reader(io.BytesIO(data), encoding="utf-8")
    reader.where, reader.left = where, len(data)
    try:
        pickle_bounds.check(data, where)
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
    left = 0  # elements that its calls may still copy: not more than it has bytes

    def persistent_load(self, pid: tuple) -> _Storage:
        # ('storage', storage class or, from MSAdapter, its name, record key, device, elements)
        _, storage, key, _, elements = pid
        named = isinstance(storage, str)
        return _Storage(str(key), storage if named else storage.__name__, elements, named)

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): self._copying(collections.OrderedDict),
            ("collections", "defaultdict"): _mapping,
            ("argparse", "Namespace"): _namespace,
            ("_codecs", "encode"): Opaque,  # how protocol 2 spells bytes, e.g. in random states
            ("_io", "BytesIO"): Opaque,
            ("io", "BytesIO"): Opaque,
            ("pathlib", "PosixPath"): Opaque,
        }
        if (module, name) in known:
            return known[module, name]
        if module in ("builtins", "__builtin__") and name in ("set", "frozenset", "dict", "list", "tuple"):
            kinds = {"set": set, "frozenset": frozenset, "dict": dict, "list": list, "tuple": tuple}
            return self._copying(kinds[name])
        package = module.partition(".")[0]
        if package in TORCHES and name in REBUILDS:
            return REBUILDS[name]
        if package in TORCHES and name == "_rebuild_from_type_v2":
            return self._rebuild_from_type
        if package in INERT:
            return type(name if name.endswith("Storage") else f"{module}.{name}", (Opaque,), {})
        raise self._refused(f"{module}.{name}")

    def _copying(self, kind: Any) -> Any:
        """A container's class as a function, which copies what it is given, but not again and again."""

        def make(*given: Any) -> Any:
            self.left -= sum(len(one) for one in given)
            if self.left < 0:
                raise ValueError(f"its calls of {kind.__name__} copy more elements than it has bytes")
            return kind(*given)

        return make

    def _rebuild_from_type(self, rebuild: Any, kind: Any, arguments: tuple, state: Any = None) -> Any:
        """A tensor in the coat of its class, which is of no use here."""
        if rebuild in REBUILDS.values():
            return rebuild(*arguments)
        name = getattr(rebuild, "__name__", repr(rebuild))
        if isinstance(rebuild, type) and name.rpartition(".")[2].startswith("_rebuild_"):
            return rebuild(*arguments)  # inert; sparse, quantised ...: refused where it is a weight
        raise self._refused(name)

    def _refused(self, name: str) -> Problem:
        return Problem(
            "the checkpoint's pickle wants to run code that no checkpoint needs: refused, nothing was run",
            where=self.where,
            found=name,
            wanted="tensors, plain values and argparse.Namespace",
            fix="do not trust this file; fetch it again from its source. If a training of your own wrote it, name this"
            " object in a report: its name space is not known here",
        )


def _mapping(*_: Any) -> dict[Any, Any]:
    """A defaultdict without its factory."""
    return {}


# a class of our own, so that no file can alter argparse's
class _namespace(argparse.Namespace):
    pass


class _Storage(NamedTuple):
    key: str
    dtype: str
    elements: int
    packed: bool  # a tensor's own elements, in C order


def _tensor(storage: _Storage, start: int, shape: tuple, stride: tuple, *_: Any) -> TensorEntry:
    shape = tuple(shape)
    own = storage.packed and start == 0 and math.prod(shape) == storage.elements
    return TensorEntry(storage.key, storage.dtype, shape, start, None if own else tuple(stride))


def _parameter(data: TensorEntry, *_: Any) -> TensorEntry:
    return data


REBUILDS = {
    "_rebuild_tensor_v2": _tensor,
    "_rebuild_npu_tensor": _tensor,  # torch_npu's, with the device's format behind the hooks
    "_rebuild_parameter": _parameter,
    "_rebuild_parameter_with_state": _parameter,
}
