"""Seeded word problems of twelve kinds, with short plain traces: what a small pre-trained model can learn in minutes.

Numbers are drawn anew for each problem: one or two operations, no intermediate result above 200. Of each kind's eight stories
(story_forms) the last two are told in problems that are held out, and only there: a model has never seen these forms.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from distillery.fetch.examples import Example
from distillery.fetch.story_forms import FORMS

NAMES = ("Tom", "Mia", "Leo", "Ana", "Sam", "Eva", "Max", "Ivy", "Ben", "Zoe", "Paul", "Nora")
THINGS = ("apples", "books", "coins", "cards", "shells", "pencils", "stamps", "beads", "eggs", "toys", "cups")
HELD_OUT = 2  # stories of each kind

Steps = tuple[dict[str, int], list[str], int]  # numbers of the text, sums of the trace, answer


def training_examples(seed: int, shard: int, rows: int) -> Iterator[Example]:
    """`rows` examples of the stories that are learnt, kinds in rotation; a function of (seed, shard) alone."""
    rng = random.Random(f"stories train {seed} {shard}")
    for row in range(rows):
        yield _draw(rng, row, kept=False)


def held_out_examples(seed: int, rows: int) -> Iterator[Example]:
    """`rows` different examples of the stories that are held out, kinds in rotation."""
    return _different(random.Random(f"stories held out {seed}"), rows, kept=True)


def asked_examples(seed: int, rows: int) -> Iterator[Example]:
    """The same of the stories that are learnt: problems for a teacher to be asked."""
    return _different(random.Random(f"stories asked {seed}"), rows, kept=False)


def _different(rng: random.Random, rows: int, *, kept: bool) -> Iterator[Example]:
    seen: set[str] = set()
    for row in range(rows):
        example = _draw(rng, row, kept)  # each kind has millions, of which a wanted number is a small part
        while example.problem in seen:
            example = _draw(rng, row, kept)
        seen.add(example.problem)
        yield example


def _draw(rng: random.Random, row: int, kept: bool) -> Example:
    kind = list(FORMS)[row % len(FORMS)]
    told, asked = FORMS[kind]
    story = rng.choice(told[-HELD_OUT:] if kept else told[:-HELD_OUT])
    numbers, steps, answer = KINDS[kind](rng)
    name, other = rng.sample(NAMES, 2)
    words = {"name": name, "other": other, "things": rng.choice(THINGS)}
    text = f"{story} {rng.choice(asked)}".format(**numbers, **words)
    return Example(kind, text, "\n".join(steps), str(answer))


def _join(rng: random.Random) -> Steps:
    a, b = rng.randint(3, 60), rng.randint(3, 39)
    return {"a": a, "b": b}, [f"{a} + {b} = {a + b}"], a + b


def _take(rng: random.Random) -> Steps:
    b, left = rng.randint(3, 39), rng.randint(2, 60)
    return {"a": b + left, "b": b}, [f"{b + left} - {b} = {left}"], left


def _groups(rng: random.Random) -> Steps:
    a, b = rng.randint(2, 9), rng.randint(2, 12)
    return {"a": a, "b": b}, [f"{a} * {b} = {a * b}"], a * b


def _share(rng: random.Random) -> Steps:
    a, each = rng.randint(2, 9), rng.randint(2, 12)
    return {"p": a * each, "a": a}, [f"{a * each} / {a} = {each}"], each


def _join_and_take(rng: random.Random) -> Steps:
    a, b = rng.randint(3, 60), rng.randint(3, 39)
    c = rng.randint(2, a + b - 1)
    steps = [f"{a} + {b} = {a + b}", f"{a + b} - {c} = {a + b - c}"]
    return {"a": a, "b": b, "c": c}, steps, a + b - c


def _groups_and_more(rng: random.Random) -> Steps:
    a, b, c = rng.randint(2, 9), rng.randint(2, 12), rng.randint(2, 39)
    return (
        {"a": a, "b": b, "c": c},
        [f"{a} * {b} = {a * b}", f"{a * b} + {c} = {a * b + c}"],
        a * b + c,
    )


def _groups_and_fewer(rng: random.Random) -> Steps:
    a, b = rng.randint(2, 9), rng.randint(2, 12)
    c = rng.randint(1, a * b - 1)
    return (
        {"a": a, "b": b, "c": c},
        [f"{a} * {b} = {a * b}", f"{a * b} - {c} = {a * b - c}"],
        a * b - c,
    )


def _change(rng: random.Random) -> Steps:
    a, b, left = rng.randint(2, 9), rng.randint(2, 12), rng.randint(1, 50)
    whole = a * b + left
    return {"a": a, "b": b, "p": whole}, [f"{a} * {b} = {a * b}", f"{whole} - {a * b} = {left}"], left


def _times_as_many(rng: random.Random) -> Steps:
    a, b = rng.randint(2, 6), rng.randint(2, 20)
    return {"a": a, "b": b}, [f"{a} * {b} = {a * b}", f"{b} + {a * b} = {b + a * b}"], b + a * b


def _rest_shared(rng: random.Random) -> Steps:
    a, each, c = rng.randint(2, 9), rng.randint(2, 12), rng.randint(2, 39)
    whole = a * each + c
    return {"p": whole, "a": a, "c": c}, [f"{whole} - {c} = {a * each}", f"{a * each} / {a} = {each}"], each


def _compare(rng: random.Random) -> Steps:
    b, other = rng.randint(2, 39), rng.randint(2, 50)
    a = b + other
    return {"a": a, "b": b}, [f"{a} - {b} = {other}", f"{a} + {other} = {a + other}"], a + other


KINDS: dict[str, Callable[[random.Random], Steps]] = {
    "join": _join,
    "take": _take,
    "groups": _groups,
    "share": _share,
    "join and take": _join_and_take,
    "groups and more": _groups_and_more,
    "groups and fewer": _groups_and_fewer,
    "change": _change,
    "times as many": _times_as_many,
    "rest shared": _rest_shared,
    "how many more": _change,  # the same sums, told as a need
    "compare": _compare,
}
