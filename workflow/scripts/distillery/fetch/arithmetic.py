"""Seeded chat problems on four-digit numbers, with R1-style traces a tiny model learns in a minute.

Four families (product, share, equation, remainder) are texts about one fact, x * m = p with x and p
of four digits and m of 2 to 4. Every number of a trace has a fixed width, so each token depends on a
few earlier ones at constant distances, and every step is a small table (digit, multiplier 2-4, carry
or remainder 0-3). Numbers outside these ranges are outside what a model trained on this can do.

The fact (x, m) is the key of a problem. A stable hash of it, the same for every seed and family and
for m * x, holds one key in five back: training shards draw from the rest, problem sets only from the
held-out part, so that no problem is trained on under another name, in another order, or by its inverse.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator

from distillery.fetch.examples import Example
from distillery.problems import UsageProblem

NAMES = ("Tom", "Mia", "Leo", "Ana", "Sam", "Eva", "Max", "Ivy")
THINGS = ("apples", "books", "coins", "cards", "shells", "pencils", "stamps", "beads")
PLACES = ("thousands", "hundreds", "tens", "ones")
MULTIPLIERS = (2, 3, 4)
HELD_OUT_ONE_IN = 5

PRODUCT_TEXTS = (
    "{name} buys {m} boxes of {x} {things} each. How many {things} are there in total?",
    "One shelf holds {x} {things}. How many {things} do {m} such shelves hold?",
    "{name} packs {x} {things} every day. How many {things} is that after {m} days?",
)
SHARE_TEXTS = (
    "{name} puts {p} {things} into {m} equal piles. How many {things} are in each pile?",
    "A team of {m} friends shares {p} {things} equally. How many {things} does each one get?",
    "There are {p} {things} in {m} full boxes. How many {things} are in one box?",
)


def held_out(key: tuple[int, int]) -> bool:
    """Whether problems about this pair of operands are kept for evaluation; order does not matter."""
    text = "*".join(str(number) for number in sorted(key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % HELD_OUT_ONE_IN == 0


def training_examples(seed: int, shard: int, rows: int) -> Iterator[Example]:
    """`rows` examples of the training part, families in rotation; a function of (seed, shard) alone."""
    rng = random.Random(f"train {seed} {shard}")
    for row in range(rows):
        yield _draw(rng, row, wanted=lambda example: not held_out(example.key))


def held_out_examples(seed: int, rows: int) -> Iterator[Example]:
    """`rows` different examples of the held-out part, families in rotation.

    Raises:
        UsageProblem: a family has fewer different held-out problems than asked for.
    """
    return _different(random.Random(f"held out {seed}"), rows, kept=True)


def asked_examples(seed: int, rows: int) -> Iterator[Example]:
    """The same of the training part: problems for a teacher to be asked. Shards may hold some of them."""
    return _different(random.Random(f"asked {seed}"), rows, kept=False)


def _different(rng: random.Random, rows: int, *, kept: bool) -> Iterator[Example]:
    seen: set[str] = set()
    for row in range(rows):
        example = _draw(
            rng, row, wanted=lambda example: held_out(example.key) is kept and example.problem not in seen
        )
        seen.add(example.problem)
        yield example


def _draw(rng: random.Random, row: int, wanted: Callable[[Example], bool]) -> Example:
    family = list(FAMILIES)[row % len(FAMILIES)]
    for _ in range(10_000):  # a wanted one is at least 1 draw in 5 until a family is nearly used up
        problem, trace, answer, key = FAMILIES[family](rng)
        example = Example(family, problem, trace, str(answer), (min(key), max(key)))  # smaller operand first
        if wanted(example):
            return example
    raise UsageProblem(
        f"family {family} has no further problem of this part",
        where=f"row {row}",
        found="10,000 draws without a new one",
        fix="ask for fewer --rows (4,000 are always possible)",
    )


Drawn = tuple[str, str, int, tuple[int, int]]  # problem, trace, answer, operands


def _product(rng: random.Random) -> Drawn:
    x, m = _operands(rng)
    return _tell(rng, PRODUCT_TEXTS, x=x, m=m), _multiply(x, m), x * m, (x, m)


def _share(rng: random.Random) -> Drawn:
    x, m = _operands(rng)
    return _tell(rng, SHARE_TEXTS, p=x * m, m=m), _divide(x * m, m), x, (x, m)


def _equation(rng: random.Random) -> Drawn:
    x, m = _operands(rng)
    if rng.random() < 0.5:
        return f"Solve for x: {m}x = {x * m}", _divide(x * m, m), x, (x, m)
    return f"Solve for x: x / {m} = {x}", _multiply(x, m), x * m, (x, m)


def _remainder(rng: random.Random) -> Drawn:
    m = rng.choice(MULTIPLIERS)
    n = rng.randint(1000 * m, 9999)
    text = f"What is the remainder when {n} is divided by {m}?"
    # the key is the exact product just below n: its share and equation are the same long division
    return text, _divide(n, m), n % m, (n // m, m)


FAMILIES: dict[str, Callable[[random.Random], Drawn]] = {
    "product": _product,
    "share": _share,
    "equation": _equation,
    "remainder": _remainder,
}


def _operands(rng: random.Random) -> tuple[int, int]:
    """(x, m) with x and x * m of four digits."""
    m = rng.choice(MULTIPLIERS)
    return rng.randint(1000, 9999 // m), m


def _tell(rng: random.Random, texts: tuple[str, ...], **numbers: int) -> str:
    return rng.choice(texts).format(name=rng.choice(NAMES), things=rng.choice(THINGS), **numbers)


def _multiply(x: int, m: int) -> str:
    """Column multiplication from the ones up: digit*m+carry=two-digit result."""
    lines, carry = [f"{x}*{m}"], 0
    for place, digit in zip(reversed(PLACES), reversed(str(x)), strict=True):
        result = int(digit) * m + carry
        lines.append(f"{place}:{digit}*{m}+{carry}={result:02d}")
        carry = result // 10
    return "\n".join(lines)


def _divide(n: int, m: int) -> str:
    """Long division from the thousands down: (remainder so far, digit)/m=quotient digit,r(new one)."""
    lines, rest = [f"{n}/{m}"], 0
    for place, digit in zip(PLACES, str(n), strict=True):
        value = 10 * rest + int(digit)
        lines.append(f"{place}:{value:02d}/{m}={value // m},r{value % m}")
        rest = value % m
    return "\n".join(lines)
