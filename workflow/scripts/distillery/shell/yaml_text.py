"""A nested configuration as YAML in block style, with a comment at the end of a line or above it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

WIDTH = 110
WHOLE = {"break_on_hyphens": False, "break_long_words": False}  # flags and paths


def lines(
    tree: Mapping[str, Any], comments: Mapping[tuple[str, ...], str], path: tuple[str, ...] = ()
) -> Iterator[str]:
    """The lines of a mapping.

    Args:
        comments: by the path of a key; an empty one is none.
        path: of `tree` itself.
    """
    indent = "  " * len(path)
    for key, value in tree.items():
        here = (*path, key)
        nested = isinstance(value, Mapping) and value
        text = f"{indent}{_scalar(key)}:" + ("" if nested else f" {_scalar(value)}")
        comment = comments.get(here, "")
        if comment and len(text) + 3 + len(comment) > WIDTH:
            yield from textwrap.wrap(
                comment, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", **WHOLE
            )
            comment = ""
        yield f"{text} # {comment}" if comment else text
        if nested:
            yield from lines(value, comments, here)


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
