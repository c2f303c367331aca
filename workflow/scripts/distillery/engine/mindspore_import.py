"""MindSpore without the parts that are never called here: 75 MB less of each process, 0.2 s less at its start and at its end.

`import mindspore` brings its data pipeline (with OpenCV and ICU) and, for metrics, scipy; together they hold 0.08 GB,
as much as the activations of a small model. While MindSpore is imported, these modules are placeholders; afterwards
they are forgotten, so that whoever imports one of them gets the real one.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
from importlib.metadata import version
from types import ModuleType

# an operator runs in the thread that asks for it: a queue's thread gains nothing on a CPU, where whoever waits for it does so
# in a loop without a pause (AsyncRQueue::Wait), on the core that it needs; a fifth of generation's CPU seconds
AT_ONCE = ("MS_DEV_HOST_BLOCKING_RUN", "1")
YOUNG = 50_000  # objects between two collections: a graph's parse makes that many at a time, and leaves no cycles of weight
TESTED = "2.10."  # of another version it is not known what it needs
UNUSED = tuple(
    f"mindspore.{name}"
    for name in ("dataset", "mindrecord", "_c_dataengine", "_c_mindrecord", "rewrite", "onnx", "safeguard")
) + ("scipy",)
ASCEND = (
    "mindspore.ops._op_impl.aicpu",
    "mindspore.ops._op_impl.tbe",
)  # tables of another device's operators


def load(device: str) -> None:
    """Import MindSpore for `device` (CPU or Ascend), if that has not been done yet.

    Its cache of compiled graphs stays off, whatever the environment says: a graph with a Python function in it
    (see completion) is stored with the function's address, which another process does not know.

    At the end MindSpore asks its data pipeline to clean up, and would import it for that: it gets the placeholder again.

    What it makes at its import stays to the end, so Python's collector of cycles need not look at it, neither meanwhile
    nor ever after: half a second of CPU less from a process' start to its end.
    """
    os.environ["MS_COMPILER_CACHE_ENABLE"] = "0"
    if device == "CPU":
        os.environ.setdefault(*AT_ONCE)
    if "mindspore" in sys.modules or not version("mindspore").startswith(TESTED):
        return
    finder = _Finder(UNUSED if device == "Ascend" else UNUSED + ASCEND)
    sys.meta_path.insert(0, finder)
    collects = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module("mindspore")
        atexit.register(_end, finder)  # the last to register is the first to be called
        gc.freeze()
        gc.set_threshold(YOUNG)
    finally:
        if collects:
            gc.enable()
        sys.meta_path.remove(finder)
        for name in [name for name, module in sys.modules.items() if isinstance(module, _Placeholder)]:
            del sys.modules[name]


def _end(finder: _Finder) -> None:
    if "mindspore.dataset" not in sys.modules:
        sys.meta_path.insert(0, finder)


class _Placeholder(ModuleType):
    """Whatever is imported from it is an empty class."""

    __all__: tuple[str, ...] = ()
    __path__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds placeholders for modules of these names and for all that is in them."""

    def __init__(self, names: tuple[str, ...]):
        self.names = names

    def find_spec(self, name, path, target=None):
        if any(name == each or name.startswith(f"{each}.") for each in self.names):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec) -> ModuleType:
        return _Placeholder(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""
