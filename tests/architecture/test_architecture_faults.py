"""docs/faults.md: every row names a test that exists, and a message that the library, its system or that test knows."""

from __future__ import annotations

import re
from functools import cache

import pytest
from places import ROOT, SCRIPTS, SUPPORT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/faults.md").read_text().splitlines()
    if line.startswith("|") and line.endswith("` |")
]


@cache
def functions() -> dict[str, str]:
    """{function: the text of its file}."""
    return {
        name: text
        for path in (ROOT / "tests").rglob("test_*.py")
        for text in [path.read_text()]
        for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    }


def test_there_are_sixty_faults():
    assert len(ROWS) >= 60
    assert len({(fault, stage) for fault, stage, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(row[:2]))
def test_a_row_names_what_there_is(row):
    fault, stage, outcome, message, named = row
    assert fault and stage and outcome
    known = functions()[named.strip("`")]
    if message not in known:
        places = [*(SCRIPTS / "distillery").rglob("*.py"), *SUPPORT.rglob("*.py")]
        assert any(message in path.read_text() for path in places), message
