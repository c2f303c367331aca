"""The generator's word problems: right answers, and held-out stories that no shard tells."""

import re

import pyarrow.parquet as pq
from commands import here
from hypothesis import given
from hypothesis import strategies as st

from distillery.fetch import stories
from distillery.fetch.story_forms import FORMS


@given(seed=st.integers(0, 2**32), shard=st.integers(0, 1000))
def test_every_sum_is_right_and_begins_with_numbers_of_the_text(seed, shard):
    for example in stories.training_examples(seed, shard, len(FORMS)):
        known = {int(number) for number in re.findall(r"\d+", example.problem)}
        for step in example.trace.splitlines():
            left, sign, right, result = re.fullmatch(r"(\d+) ([-+*/]) (\d+) = (\d+)", step).groups()
            assert eval(f"{left} {sign} {right}") == int(result) <= 250, step
            assert {int(left), int(right)} <= known, example
            known.add(int(result))
        assert example.answer == result


def form(problem: str) -> str:
    """What is left of a problem without its numbers, names and things."""
    text = re.sub(r"\d+", "N", problem)
    return re.sub(rf"\b({'|'.join((*stories.NAMES, *stories.THINGS))})\b", "X", text)


def test_held_out_forms_are_a_quarter_of_384_and_new():
    assert sum(len(told) * len(asked) for told, asked in FORMS.values()) == 384
    assert set(FORMS) == set(stories.KINDS)
    taught = {form(e.problem) for shard in range(4) for e in stories.training_examples(0, shard, 2400)}
    kept = {form(e.problem) for seed in range(4) for e in stories.held_out_examples(seed, 600)}
    assert (len(taught), len(kept)) == (288, 96)
    assert taught.isdisjoint(kept)
    asked = [e.problem for e in stories.asked_examples(5, 600)]
    assert len(set(asked)) == 600 and {form(one) for one in asked} <= taught


def test_commands_write_them(tmp_path):
    shard, problems = tmp_path / "shard.parquet", tmp_path / "problems.parquet"
    line = ("--seed", 1, "--shard", 0, "--shards", 1, "--rows", 24, "--kind", "stories", "--output", shard)
    assert here("fetch_generated_shard.py", *line).returncode == 0
    line = ("--seed", 1, "--rows", 24, "--kind", "stories", "--output", problems)
    assert here("fetch_generated_problems.py", *line).returncode == 0
    rows = pq.read_table(shard).to_pylist()
    assert [row["problem_type"] for row in rows] == 2 * list(FORMS)
    for row in rows:
        assert row["messages"][1]["content"].endswith(f"\nThe answer is \\boxed{{{row['answer']}}}.")
    held = pq.read_table(problems).to_pylist()
    assert [row["problem"] for row in held] == [e.problem for e in stories.held_out_examples(1, 24)]
