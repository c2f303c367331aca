"""The reference of configuration keys, from the schema, and of findings: the part of config/README.md that is made."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from distillery import files, schema
from distillery.planning.finding import SECTIONS
from distillery.problems import Problem
from distillery.provenance import canonical

BEGIN, END = "<!-- keys: made by plan_config_reference.py -->", "<!-- end of keys -->"


def run(args: argparse.Namespace) -> None:
    """Write the tables between the two marks of --readme.

    Raises:
        Problem: it has no such place.
    """
    text = args.readme.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise Problem("no place for the keys", where=args.readme, wanted=f"one line {BEGIN} and one {END}")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    files.write_text(args.readme, f"{head}{BEGIN}\n\n{table()}\n{END}{tail}")


def table() -> str:
    """A Markdown table for each part of the configuration, and one of findings."""
    root = schema.schema()
    parts = {
        "(top level)": root,
        "models.NAME": root["$defs"]["model"],
        "datasets.NAME": root["$defs"]["dataset"],
        "problem_sets.NAME": root["$defs"]["problem_set"],
        "servers.NAME": root["$defs"]["server"],
        "hardware.NAME": root["$defs"]["hardware"],
        "experiments.NAME": root["$defs"]["experiment"],
    }
    lines = []
    for name, node in parts.items():
        lines += [f"### {name}", "", "| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in rows(node, deep=name != "(top level)")]
        lines.append("")
    return "\n".join([*lines, *findings()])


def findings() -> Iterator[str]:
    """Lines of a table of the ids that a plan prints and `accept` takes."""
    yield from ["### Findings", "", "| id | meaning | about |", "|---|---|---|"]
    for section, meanings in SECTIONS.items():
        yield from (f"| `{name}` | {meaning} | {section} |" for name, meaning in meanings.items())
    yield ""


def rows(node: dict[str, Any], prefix: str = "", deep: bool = True) -> Iterator[tuple[str, str, str, str]]:
    """(key, value, default, meaning) of every property, depth first."""
    required = set(node.get("required", []))
    for key, child in node.get("properties", {}).items():
        whole = schema.resolve(child)
        default = "required" if key in required else ""
        if "default" in whole and whole["default"] not in ({}, []):
            default = f"`{canonical(whole['default'])}`"
        yield (
            f"`{prefix}{key}`",
            _values(whole),
            default,
            " ".join(whole.get("description", "").split()).replace("|", "\\|"),
        )
        if deep and "properties" in whole:
            yield from rows(whole, f"{prefix}{key}.")


def _values(node: dict[str, Any]) -> str:
    from distillery import ranges

    if "enum" in node:
        return ", ".join(f"`{canonical(one)}`" if one is None else f"`{one}`" for one in node["enum"])
    kinds = [node.get("type", "")] if isinstance(node.get("type", ""), str) else node["type"]
    if {"integer", "number"}.intersection(kinds):
        return " or ".join([ranges.words(node), *kinds[1:]])
    return " or ".join(kinds)
