"""What a column of a file gives: the map of columns, value by value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.evaluate import golds
from distillery.fetch import problem_columns
from distillery.problems import UsageProblem

GOLDS = [
    ({}, {"answer": ["2", "5"]}, "2, 5"),
    ({}, {"answer": [3]}, "3"),
    ({}, {"answer": 27.0}, "27"),
    ({}, {"answer": "['2', '5']"}, "2, 5"),
    ({}, {"answer": '["2", "5"]'}, "2, 5"),
    ({"type": "list"}, {"answer": "[2, 5]"}, "2, 5"),
    ({}, {"answer": "[2, 5]"}, "[2, 5]"),  # an interval, where nobody says that it is a list
    ({"after": "####"}, {"answer": "6 * 3 = <<6*3=18>>18\n#### 18"}, "18"),
    (
        {"column": "solution", "boxed": True},
        {"solution": r"So $\boxed{1}$, no: $\boxed{\frac{1}{2}}$."},
        r"\frac{1}{2}",
    ),
    ({"choice": list("ABCD")}, {"answer": 2}, "C"),
    ({"choice": list("ABCD")}, {"answer": 1.0}, "B"),
    ({"choice": list("ABCD")}, {"answer": "D"}, "D"),
    ({"constant": "7"}, {}, "7"),
    ({"plain": True}, {"answer": "C(10, 5), or equivalently 252"}, "252"),
    ({"type": "number"}, {"answer": "1,234"}, "1,234"),
    ({"type": "expression"}, {"answer": r"\sqrt{2}"}, r"\sqrt{2}"),
    ({"type": "choice"}, {"answer": "(B)"}, "(B)"),
    ({"type": "text"}, {"answer": "north"}, "north"),
]


@pytest.mark.parametrize(("said", "row", "gold"), GOLDS)
def test_an_answer_is_what_the_map_says_of_its_column(said, row, gold):
    assert problem_columns.parse({"answer": said or "answer"})["answer"].gold(row) == gold


UNREADABLE = [
    ({}, None, "nothing"),
    ({}, float("nan"), "NaN"),
    ({}, {"a": 1}, "an object"),
    ({}, "", "no answer"),
    ({}, True, "truth"),
    ({}, [], "an empty list"),
    ({"after": "####"}, "18", "no #### in it"),
    ({"after": "####"}, 18, "no text"),
    ({"after": "####"}, "18 ####", "no answer"),
    ({"boxed": True}, "18", r"no \\boxed"),
    ({"type": "list"}, "2; 5", "no list"),
    ({"type": "list"}, 3, "no list"),
    ({"type": "number"}, "north", "not a number"),
    ({"type": "expression"}, "北", "not a number or"),
    ({"type": "choice"}, "12", "not the letter"),
    ({"choice": ["A", "B"]}, 2, "neither one of A, B"),
    ({"choice": ["A", "B"]}, True, "neither"),
    ({"plain": True}, "Infinitely many", "words"),
]


@pytest.mark.parametrize(("said", "value", "why"), UNREADABLE)
def test_a_value_without_an_answer_says_why(said, value, why):
    column = problem_columns.parse({"answer": said or "answer"})["answer"]
    with pytest.raises(golds.Unreadable, match=why):
        column.gold({"answer": value})


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5))
def test_a_list_is_the_same_gold_however_it_is_written(values):
    column, listed = (
        problem_columns.parse({"answer": said})["answer"] for said in ("answer", {"type": "list"})
    )
    gold = ", ".join(map(str, values))
    texts = [str(value) for value in values]
    assert (
        column.gold({"answer": values})
        == column.gold({"answer": texts})
        == column.gold({"answer": str(texts)})
        == gold
    )
    assert column.gold({"answer": json.dumps(texts)}) == listed.gold({"answer": json.dumps(values)}) == gold


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"anwser": "x"}, "unknown column"),
        ({"answer": {"aftr": "x"}}, "not the description"),
        ({"answer": {"after": "x", "boxed": True}}, "one meaning"),
        ({"problem": {"boxed": True}}, "not the description"),
        ({"answer": {"type": "prose"}}, "unknown type"),
    ],
)
def test_a_map_that_makes_no_sense_is_taught(said, words):
    with pytest.raises(UsageProblem, match=words):
        problem_columns.parse(said)
