"""Shards with the schema and the statistics of OpenR1-Math-220k, made from a seed.

    python benchmarks/corpus.py OUT --shards 2 --rows 2000 --seed 7

Text is R1-like talk around random LaTeX: answers of 15.6k characters on average (log-normal, median 12.3k, at most 60k),
about 2.5 characters per Qwen token, a tenth of the lines with non-ASCII signs, all columns of the real dataset.
"""

from __future__ import annotations

import argparse
import math
import random
import uuid
from pathlib import Path

LETTERS = "abcdefghkmnpqrstuvwxyzABCDEFGHMNPQRSTXYZ"
GREEK = [rf"\{name}" for name in "alpha beta gamma theta lambda omega phi pi sigma mu epsilon Delta".split()]
FUNCTIONS = [rf"\{name}" for name in "sin cos tan log ln exp arctan gcd".split()]
RELATIONS = ["=", "=", "=", "=", r"\leq", r"\geq", r"\equiv", "<", ">"]
SUBJECTS = (
    "the equation|this expression|the left side|the right-hand side|the triangle|the polynomial|the sequence|the sum|"
    "our integral|the denominator|the remainder|the first term|the circle|the probability|the recurrence|each factor"
).split("|")
VERBS = (
    "simplifies to|becomes|is equal to|reduces to|must satisfy|cannot be|turns out to be|is bounded by|factors as|"
    "is divisible by|can be rewritten as|approaches|contradicts"
).split("|")
ADJECTIVES = (
    "positive|negative|even|odd|prime|rational|distinct|nonzero|monotonic|congruent|relatively prime".split(
        "|"
    )
)
SENTENCES = (
    "Wait, {s} {v} ${e}$. Hmm, that doesn't look right. Let me go back to the beginning and read the problem again.",
    "Let me check: ${q}$. So {s} {v} ${e}$, which means that I was right before.",
    "First, I should recall that {s} {v} ${e}$ when ${x}$ is {a}.",
    "Let ${x} = {e}$. Substituting into {s}, we get\n\n${q}$",
    "But if ${x} = {n}$, then {s} is {a}. Is that possible? Let's try with ${x} = {n}$.",
    "Hmm, maybe I made a mistake somewhere here. Let me do it again, slowly and step by step.",
    "So {n} + {n} = {n}, and {n} × {n} = {n}. That seems correct.",
    "Therefore, {s} {v} {n}, and nothing else can happen.",
    "\\[\n{q}\n\\]",
    "\\[\n\\begin{aligned}\n{q} \\\\\n{q}\n\\end{aligned}\n\\]",
    "Since ${x}$ is {a}, {s} {v} ${e}$, so there are {n} cases to consider.",
    "Case {n}: ${q}$. In this case {s} {v} {n}, so ${x} = {n}$.",
    "That would be a contradiction, because we have already seen that {s} {v} ${e}$.",
    "Now, combining the two equations, ${q}$, I can solve for ${x}$.",
    "Which gives {x} = {n}/{n} ≈ {f}.",
    "For example, {x} = {n}, {x} = {n}: {n}² + {n}² = {n}. OK.",
    "I think the key is to notice that {s} {v} ${e}$, so ${x} \\equiv {n} \\pmod{{n}}$.",
    "Let's list them: {n}, {n}, {n}, {n}, {n}, ... and so on until {n}.",
    "The distance between the two points is then √({n}² + {n}²) = {f}.",
    "| {x} | {x} |\n|---|---|\n| {n} | {n} |\n| {n} | {n} |",
    "1. **Step {n}:** {s} {v} ${e}$.\n2. Then {s} must be {a}.",
    "Alternatively, perhaps there is a neater way to see that {s} {v} ${e}$ without any computation at all.",
    "Yes, that works. So the answer should be {n}, but let me double-check with another approach.",
    "Hold on, is that necessarily true? I assumed that ${x}$ is {a}, but the problem doesn't say so.",
)
POOL = 20_000


class Writer:
    """Random mathematics with a memory of its seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.pool = [self.sentence() for _ in range(POOL)]

    def number(self) -> str:
        kind = self.random.random()
        if kind < 0.5:
            return str(self.random.randint(0, 12))
        if kind < 0.8:
            return str(self.random.randint(10, 999))
        return str(self.random.randint(1000, 10**7)) if kind < 0.92 else f"{self.random.uniform(0, 100):.3f}"

    def variable(self) -> str:
        return self.random.choice(LETTERS if self.random.random() < 0.85 else GREEK)

    def expression(self, depth: int = 0) -> str:
        pick = self.random.choice
        if depth > 2 or self.random.random() < 0.22:
            return pick([self.number, self.variable])()
        a, b = self.expression(depth + 1), self.expression(depth + 1)
        x, n = self.variable(), self.number()
        return pick(
            [
                f"{a} + {b}",
                f"{a} - {b}",
                rf"\frac{{{a}}}{{{b}}}",
                f"{x}^{{{n}}}",
                f"{x}^2",
                rf"\sqrt{{{a}}}",
                f"({a})({b})",
                rf"{a} \cdot {b}",
                f"{pick(FUNCTIONS)}({a})",
                f"{x}_{{{pick('ijkn012')}}}",
                rf"\left( {a} \right)",
                rf"\sum_{{k=1}}^{{{x}}} {b}",
                f"{n}{x} + {self.number()}{x}",
            ]
        )

    def equation(self) -> str:
        return f"{self.expression()} {self.random.choice(RELATIONS)} {self.expression()}"

    def sentence(self) -> str:
        pick = self.random.choice
        makers = {
            "{q}": self.equation,
            "{e}": self.expression,
            "{x}": self.variable,
            "{n}": self.number,
            "{f}": lambda: f"{self.random.uniform(0, 50):.3f}",
            "{s}": lambda: pick(SUBJECTS),
            "{v}": lambda: pick(VERBS),
            "{a}": lambda: pick(ADJECTIVES),
        }
        text = pick(SENTENCES)
        for mark, make in makers.items():
            while mark in text:
                text = text.replace(mark, make(), 1)
        return text

    def trace(self, question: str, answer: str) -> str:
        """`<think>` talk and a solution with \\boxed{answer}."""
        wanted = min(max(int(math.exp(self.random.gauss(9.42, 0.68))), 1500), 60_000)
        parts, length = [f"<think>\nOkay, so I need to figure out {question[:120]}"], 0
        while length < wanted:
            parts.append(" ".join(self.random.choices(self.pool, k=self.random.randint(1, 5))))
            length += len(parts[-1]) + 2
        return "\n\n".join(parts) + rf"{chr(10)}</think>{chr(10)}{chr(10)}**Answer:** \(\boxed{{{answer}}}\)."

    def row(self) -> dict:
        question = f"Given ${self.equation()}$ and that {self.random.choice(SUBJECTS)} is {self.number()}, find ${self.variable()}$."
        answer = self.number()
        traces = [
            self.trace(question, answer) for _ in range(self.random.choices([1, 2, 3, 4], [2, 80, 5, 13])[0])
        ]
        return {
            "problem": question,
            "solution": " ".join(self.random.choices(self.pool, k=6)),
            "answer": answer,
            "problem_type": self.random.choice(["Algebra", "Geometry", "Number Theory", "Combinatorics"]),
            "question_type": "math-word-problem",
            "source": self.random.choice(["olympiads", "aops_forum", "cn_contest"]),
            "uuid": str(uuid.UUID(int=self.random.getrandbits(128))),
            "is_reasoning_complete": [True] * len(traces),
            "generations": traces,
            "correctness_math_verify": [True] * len(traces),
            "correctness_llama": None,
            "finish_reasons": None,
            "correctness_count": len(traces),
            "messages": [{"content": question, "role": "user"}, {"content": traces[0], "role": "assistant"}],
        }


def make(directory: Path, shards: int, rows: int, seed: int) -> list[Path]:
    """Write `shards` parquet files of `rows` rows each and return their paths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, flags = pa.list_(pa.string()), pa.list_(pa.bool_())
    message = pa.struct([("content", pa.string()), ("role", pa.string())])
    names = "problem solution answer problem_type question_type source uuid".split()
    lists = {"is_reasoning_complete": flags, "generations": texts, "correctness_math_verify": flags}
    lists |= {"correctness_llama": flags, "finish_reasons": texts, "correctness_count": pa.int64()}
    schema = pa.schema({**dict.fromkeys(names, pa.string()), **lists, "messages": pa.list_(message)})
    directory.mkdir(parents=True, exist_ok=True)
    writer = Writer(seed)
    paths = []
    for shard in range(shards):
        paths.append(directory / f"train-{shard:05d}-of-{shards:05d}.parquet")
        table = pa.Table.from_pylist([writer.row() for _ in range(rows)], schema)
        pq.write_table(table, paths[-1], row_group_size=1000)
    return paths


def repeat(shard: Path, target: Path, size: float) -> Path:
    """Write the rows of `shard` again and again, uncompressed, until the file has `size` GB."""
    import pyarrow.parquet as pq

    table = pq.read_table(shard)
    with pq.ParquetWriter(target, table.schema, compression="none") as writer:
        while target.stat().st_size < size * 2**30:
            writer.write_table(table, row_group_size=1000)
    return target


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("directory", type=Path)
    flags.add_argument("--shards", type=int, default=1)
    flags.add_argument("--rows", type=int, default=2000)
    flags.add_argument("--seed", type=int, default=7)
    flags.add_argument(
        "--repeat", type=float, metavar="GB", help="and one more shard of so many GB, by repetition"
    )
    arguments = flags.parse_args()
    for path in make(arguments.directory, arguments.shards, arguments.rows, arguments.seed):
        print(path)
    if arguments.repeat:
        print(repeat(path, arguments.directory / "repeated.parquet", arguments.repeat))
