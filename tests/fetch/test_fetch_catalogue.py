"""The sources that come with the project, each tried on rows of its file's shape, written by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from places import FIXTURES, ROOT

from distillery import catalogue, config, source_files
from distillery.fetch import problem_columns, problem_file, source_flags
from distillery.fetch.problem_file import Recipe
from distillery.problems import Problem

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
SETS = catalogue.entries()["problem_sets"]
# a row of each file's columns and types, as its dataset card has them; the texts are ours
ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": [
        {"question": "Two cats have how many paws?", "answer": "4 * 2 = <<4*2=8>>8\n#### 8"},
        {"question": "And 600 cats?", "answer": "So 4 * 600 = <<4*600=2400>>2400.\n#### 2,400"},
    ],
    "math-500": [
        {
            "problem": "Halve one.",
            "solution": r"It is $\boxed{\frac{1}{2}}$.",
            "answer": r"\frac{1}{2}",
            "subject": "Prealgebra",
            "level": 2,
            "unique_id": "test/prealgebra/1.json",
        }
    ],
    "aime24": [
        {
            "id": 60,
            "problem": "Add 3 and 4.",
            "solution": "7",
            "answer": "007",
            "url": "https://a",
            "year": "2024",
        }
    ],
    "aime25": [{"question": "Add 30 and 40.", "answer": "70"}],
    "amc23": [{"id": 0, "question": "How many hours?", "answer": "27.0", "url": "https://a"}],
    "olympiadbench": [
        {
            "id": 1606,
            "question": "Find $x$.",
            "solution": ["So 2."],
            "final_answer": ["2"],
            "context": None,
            "subfield": "Algebra",
        },
        {
            "id": 1607,
            "question": "Find all.",
            "solution": ["..."],
            "final_answer": ["2", "5"],
            "context": None,
            "subfield": "Algebra",
        },
        {
            "id": 1608,
            "question": "Prove it.",
            "solution": ["..."],
            "final_answer": None,
            "context": None,
            "subfield": "Geometry",
        },
    ],
    "minerva": [
        {"question": "How far is it, in m?", "answer": "4.5e33"},
        {"question": "Which?", "answer": r"\arcsin{1.3 \sin{\theta}}"},
    ],
}
GOLDS = {
    "gsm8k": ["8", "2,400"],
    "math-500": [r"\frac{1}{2}"],
    "aime24": ["007"],
    "aime25": ["70"],
    "amc23": ["27.0"],
    "olympiadbench": ["2", "2, 5"],
    "minerva": ["4.5e33", r"\arcsin{1.3 \sin{\theta}}"],
}


def test_every_set_is_tried():
    assert (
        ROWS.keys() == GOLDS.keys() and SETS.keys() - {"champ-heldout"} == ROWS.keys()
    )  # CHAMP's wheel has a test file of its own


def naming(*names: str) -> dict[str, Any]:
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["small"]["problems"] = list(names)
    return raw


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_named_set_reads_rows_of_its_files_shape(name, tmp_path):
    named = config.load(naming(name)).problem_sets[name]
    first = source_files.written(named.source.settings["files"])[0]
    path = tmp_path / Path(first).name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS[name]), path)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS[name]))
    how = named.how
    asked = Recipe(
        name,
        problem_columns.parse(how["columns"]),
        rows=how["rows"],
        leave_out=how["unscorable"] == "leave_out",
    )
    made, manifest = problem_file.read({path.name: path}, asked)
    assert [row["answer"] for row in made] == GOLDS[name]
    assert manifest["unscorable"]["count"] == len(ROWS[name]) - len(made)
    if name == "math-500":
        assert (made[0]["uuid"], made[0]["problem_type"], made[0]["level"]) == (
            "test/prealgebra/1.json",
            "Prealgebra",
            "2",
        )


def test_a_named_set_is_as_if_it_were_written_down():
    named, copied = naming("math-500", "aime24"), naming("math-500", "aime24")
    copied["problem_sets"] |= {name: SETS[name] for name in ("math-500", "aime24")}
    assert config.load(named).problem_sets == config.load(copied).problem_sets
    # and what is written down goes first
    own = naming("math-500")
    own["problem_sets"]["math-500"] = {"path": {"path": "data", "files": "a.csv"}}
    assert config.load(own).problem_sets["math-500"].source.kind == "path"
    alone = naming("math-500")
    del alone["problem_sets"]
    assert list(config.load(alone).problem_sets) == ["math-500"]
    with pytest.raises(
        Problem, match="found 'math', but problem_sets has only sums-heldout, and config/sources aime24"
    ):
        config.load(naming("math"))


def test_every_file_holds_entries_of_a_configuration():
    for path in sorted((ROOT / "config/sources").glob("*.yaml")):
        assert yaml.safe_load(path.read_text()).keys() <= catalogue.NAMED_BY.keys()


def test_a_set_of_this_machine_names_its_files_as_they_are(tmp_path):
    for name in ("b (1).csv", "a's.csv", "题.csv"):
        (tmp_path / name).write_text("problem,answer\n1+1?,2\n")
    raw = naming("sums-heldout")
    raw["problem_sets"]["sums-heldout"] = {"path": {"path": str(tmp_path), "files": "*.csv"}}
    mine = config.load(raw).problem_sets["sums-heldout"]
    words = source_flags.problem_files("sums-heldout", mine)
    assert words == ["--input", *(f"{tmp_path}/{name}" for name in ("a's.csv", "b (1).csv", "题.csv"))]
    raw["problem_sets"]["sums-heldout"]["path"]["files"] = ["*.csv", "x.jsonl"]
    with pytest.raises(Problem, match="(?s)several formats.*problem_sets.sums-heldout.path.files"):
        config.load(raw)
    raw["problem_sets"]["sums-heldout"]["path"]["path"] += "/题.csv"
    with pytest.raises(Problem, match="a file stands where a folder is wanted"):
        config.load(raw)
    own = naming("sums-heldout")
    own["problem_sets"]["sums-heldout"]["filter"] = {"level": 3}
    with pytest.raises(Problem, match="sums-heldout.filter: a generator's rows are problems as they are"):
        config.load(own)
    raw["problem_sets"]["sums-heldout"]["path"] = {"path": str(tmp_path), "files": "*.jsonl"}
    with pytest.raises(Problem, match=r"(?s)no such file.*a's.csv.*wanted: +\*\.jsonl"):
        config.load(raw)
