"""A small file that stands for large ones: their sha256, for rules to depend on."""

from __future__ import annotations

import argparse

from distillery import digests, files
from distillery.problems import Problem


def run(args: argparse.Namespace) -> None:
    """Write a line for each file, as `sha256sum` does.

    Raises:
        Problem: a file is not there, or is not the one that was fetched.
    """
    for path in args.input:
        if not path.is_file():
            raise Problem("no such file", where=path, fix="run the rule or command that makes it first")
    files.remove(args.output)  # of what lay here before; what was fetched has a digest of its own
    lines = []
    for path in args.input:
        made = files.sha256(path)
        digests.check(path, made)
        lines.append(f"{made}  {path.name}\n")
    files.write_text(args.output, "".join(lines))
