"""docs/results.md names every file that a run leaves, and none that it does not."""

from __future__ import annotations

import re

from house import House
from places import ROOT
from readme import tables

TEXT = (ROOT / "docs/results.md").read_text()
TABLES = [rows[1:] for rows in tables(TEXT) if rows[0] == ["file", "what it is"]]
# a word in capitals is a name; those of a job and of a path have folders
PATTERNS = {
    row[0].strip("`"): re.compile(
        re.sub(
            r"[A-Z]{3,}",
            lambda word: ".+" if word[0] in ("JOB", "PATH") else "[^/]+",
            re.escape(row[0].strip("`")),
        )
    )
    for rows in TABLES
    for row in rows
}
# of the second table, with sources that the small experiment has not; it is no sweep, and asks no server
ELSEWHERE = {row[0].strip("`") for row in TABLES[1]} | {
    "results/experiments/EXPERIMENT/sweep.json",
    "results/experiments/EXPERIMENT/tuned.server.json",
    "results/generations/MODEL/GENERATION.server.json",
}


def test_every_file_of_a_run_is_in_the_tour(finished: House):
    found = [
        str(path.relative_to(finished.path))
        for top in ("resources/**/*", "results/**/*", "logs/**/*", "*.json")
        for path in finished.path.glob(top)
        if path.is_file()
    ]
    assert found and not [one for one in found if not any(p.fullmatch(one) for p in PATTERNS.values())]
    missing = {name for name, p in PATTERNS.items() if not any(p.fullmatch(one) for one in found)}
    assert missing == ELSEWHERE


def test_its_list_of_figures_and_tables_is_whole(finished: House):
    parts = {path.name for path in (finished.path / "results/experiments/small/report").iterdir()}
    for ending in (".svg", ".json"):
        (line,) = [row[1] for rows in TABLES for row in rows if row[0].endswith(f"PART{ending}`")]
        assert {name + ending for name in line.partition(": ")[2].split(", ")} == {
            part for part in parts if part.endswith(ending)
        }
