"""The embedded dataset: right answers, a clean held-out split, shards that are functions of their number."""

import re
import subprocess

import pyarrow.parquet as pq
import pytest
from commands import here
from hypothesis import given
from hypothesis import strategies as st

from distillery.fetch import openr1, synthetic
from distillery.fetch.arithmetic import FAMILIES, held_out, held_out_examples, training_examples
from distillery.problems import UsageProblem


def true_answer(problem: str) -> int:
    """Solves a problem from its text alone, by the sense of its words and not by the generator's code."""
    numbers = [int(number) for number in re.findall(r"\d+", problem)]
    if match := re.fullmatch(r"Solve for x: (\d)x = (\d{4})", problem):
        return int(match[2]) // int(match[1])
    if problem.startswith("Solve for x: x /"):
        return numbers[0] * numbers[1]
    if "remainder" in problem:
        return numbers[0] % numbers[1]
    if any(word in problem for word in ("equal piles", "equally", "full boxes")):
        return max(numbers) // min(numbers)
    return numbers[0] * numbers[1]


@given(seed=st.integers(0, 2**32), shard=st.integers(0, 1000))
def test_every_training_answer_and_trace_is_right(seed, shard):
    for example in training_examples(seed, shard, len(FAMILIES)):
        assert int(example.answer) == true_answer(example.problem)
        for left, right in re.findall(r":(\d\*\d\+\d)=(\d\d)", example.trace):
            assert eval(left) == int(right)  # the pattern lets only digits, * and + through
        for value, by, quotient, rest in re.findall(r":(\d\d)/(\d)=(\d),r(\d)", example.trace):
            assert divmod(int(value), int(by)) == (int(quotient), int(rest))
        assert len(example.trace.splitlines()) == 5


def test_families_take_turns():
    assert [e.family for e in training_examples(0, 0, 8)] == ["product", "share", "equation", "remainder"] * 2


def test_the_held_out_part_is_a_fifth_and_blind_to_order():
    facts = [(x, m) for m in (2, 3, 4) for x in range(1000, 9999 // m + 1)]
    share = sum(map(held_out, facts)) / len(facts)
    assert 0.18 < share < 0.22
    assert all(held_out((x, m)) == held_out((m, x)) for x, m in facts[::50])


def test_no_problem_set_meets_a_shard_under_any_seed_or_family():
    trained = {e.key for seed in range(3) for shard in range(2) for e in training_examples(seed, shard, 1600)}
    held = [e for seed in range(3) for e in held_out_examples(seed, 400)]
    assert trained.isdisjoint(e.key for e in held)
    # and by arithmetic on the texts: the fact behind a problem is (quotient, divisor) or its factors
    facts = {
        frozenset((int(e.answer), *map(int, re.findall(r"\d+", e.problem))))
        for e in held
        if e.family != "remainder"
    }
    assert facts.isdisjoint(
        frozenset((int(e.answer), *map(int, re.findall(r"\d+", e.problem))))
        for e in training_examples(0, 0, 1600)
        if e.family != "remainder"
    )


@pytest.mark.slow
def test_a_problem_set_repeats_nothing_and_says_when_it_is_exhausted():
    examples = list(held_out_examples(7, 4000))
    assert len({e.problem for e in examples}) == 4000
    with pytest.raises(UsageProblem, match="no further problem of this part"):
        list(held_out_examples(7, 40_000))


def test_shard_command_writes_the_openr1_schema_and_the_same_bytes_every_time(tmp_path):
    outputs = [tmp_path / name / "train-00001-of-00004.parquet" for name in "ab"]
    for output in outputs:
        done = here(
            "fetch_generated_shard.py",
            "--seed",
            3,
            "--shard",
            1,
            "--shards",
            4,
            "--rows",
            40,
            "--output",
            output,
        )
        assert done.returncode == 0, done.stderr
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    table = pq.read_table(outputs[0])
    assert table.schema.equals(openr1.SHARD_SCHEMA)
    assert table.to_pylist() == list(synthetic.shard_rows(3, 1, 40))
    row = table.to_pylist()[0]
    assert row["messages"][1]["content"] == row["generations"][0]
    assert re.fullmatch(
        r"<think>\n(.|\n)+\n</think>\n\nThe answer is \\boxed\{\d+\}\.", row["generations"][0]
    )
    assert len(set(table["uuid"].to_pylist())) == 40


def test_shards_and_seeds_differ(tmp_path):
    texts = [[row["problem"] for row in synthetic.shard_rows(s, i, 20)] for s, i in [(0, 0), (0, 1), (1, 0)]]
    assert texts[0] != texts[1] and texts[0] != texts[2]


def test_a_shard_outside_the_set_is_wrong_usage(tmp_path):
    output = tmp_path / "x.parquet"
    done = here(
        "fetch_generated_shard.py", "--seed", 0, "--shard", 4, "--shards", 4, "--rows", 8, "--output", output
    )
    assert done.returncode == 2 and "0 to 3" in done.stderr
    assert not list(tmp_path.iterdir())


def test_problems_command_and_digest(tmp_path):
    problems, digest = tmp_path / "p.parquet", tmp_path / "p.parquet.sha256"
    assert (
        here("fetch_generated_problems.py", "--seed", 1, "--rows", 12, "--output", problems).returncode == 0
    )
    assert pq.read_table(problems).to_pylist() == list(synthetic.problem_rows(1, 12))
    assert here("fetch_digest.py", "--input", problems, "--output", digest).returncode == 0
    checked = subprocess.run(["sha256sum", "-c", digest.name], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
