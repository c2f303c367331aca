"""Modules that take long to import: imported when a test first asks for something of theirs.

Each process of pytest-xdist collects all files, and runs the tests of some.
"""

from __future__ import annotations

import importlib
from typing import Any


class Lazy:
    """Stands for a module: `torch = Lazy("torch")` for `import torch`."""

    def __init__(self, name: str) -> None:
        self._module = name

    def __getattr__(self, attribute: str) -> Any:
        # what pytest asks each name in a file of tests for
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._module), attribute)
