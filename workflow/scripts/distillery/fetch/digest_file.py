"""A small file that stands for large ones: their sha256, for rules to depend on."""

from __future__ import annotations

import argparse

from distillery import files
from distillery.problems import Problem


def run(args: argparse.Namespace) -> None:
    """Write a line for each file, as `sha256sum` does.

    Raises:
        Problem: a file is not there.
    """
    for path in args.input:
        if not path.is_file():
            raise Problem("no such file", where=path, fix="run the rule or command that makes it first")
    lines = [f"{files.sha256(path)}  {path.name}\n" for path in args.input]
    files.write_text(args.output, "".join(lines))
