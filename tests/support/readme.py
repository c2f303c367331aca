"""README in both languages, taken apart: headings, tables, blocks, commands."""

from __future__ import annotations

import re
import shlex

from places import ROOT

BOTH = tuple((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
OURS = re.compile(r"make |\.venv/bin/|bench_\w+\.py ")


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of each fenced block."""
    return BLOCK.findall(text)


def tree(text: str) -> str:
    """The block that shows what lies where."""
    (found,) = [body for _, body in blocks(text) if body.startswith("Snakefile ")]
    return found


def prose(text: str) -> str:
    """All but the blocks."""
    return BLOCK.sub("", text)


def headings(text: str) -> list[int]:
    """The level of each heading, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", prose(text), re.MULTILINE)]


def tables(text: str) -> list[list[list[str]]]:
    """Cells of each table's rows, its head first and without the line under it."""
    found: list[list[list[str]]] = []
    inside = False
    for line in prose(text).splitlines():
        row = line.startswith("|")
        if row and not inside:
            found.append([])
        if row and not line.startswith("|---"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = row
    return found


def spans(text: str) -> list[str]:
    """What stands between single backticks."""
    return SPAN.findall(prose(text))


def uncommented(block: str) -> list[str]:
    """Its lines without what a shell would pass over, a continued line as one."""
    joined = block.replace("\\\n", " ")
    return [" ".join(line.split("#")[0].rstrip().split(" ")) for line in joined.splitlines()]


def commands(text: str) -> list[list[str]]:
    """Words of each command line: of the blocks in sh, variables filled in, and of spans that begin as ours do."""
    lines: list[str] = []
    for kind, body in blocks(text):
        variables: dict[str, str] = {}
        for line in uncommented(body) if kind == "sh" else []:
            if assigned := re.match(r'(\w+)="(.*)"$', line):
                variables[assigned[1]] = assigned[2]
            elif line.strip():
                lines.append(re.sub(r"\$(\w+)", lambda match: variables[match[1]], line))  # noqa: B023
    lines += [span for span in spans(text) if OURS.match(span)]
    return [shlex.split(line.partition(">")[0]) for line in lines]
