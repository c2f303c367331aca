"""Accuracy against generated tokens: both models where every answer may take so many tokens and is wrong beyond."""

from __future__ import annotations

from typing import Any

from distillery.evaluate import measures
from distillery.evaluate.measures import Scores

FIRST = 32  # tokens


def table(base: Scores, tuned: Scores) -> list[dict[str, Any]]:
    """A row a budget, powers of two up to the longest answer: accuracies, and the mean tokens that were spent."""
    longest = max(row["tokens"] for row in base + tuned)
    rows, budget = [], FIRST
    while True:
        row: dict[str, Any] = {"tokens": budget}
        for name, scores in (("base", base), ("tuned", tuned)):
            row[name] = accuracy(scores, budget)
            row[f"{name}_spent"] = sum(min(score["tokens"], budget) for score in scores) / len(scores)
        rows.append(row)
        if budget >= longest:
            return rows
        budget *= 2


def accuracy(scores: Scores, budget: int) -> float:
    """pass@1 where answers of more than `budget` tokens are wrong."""
    cut = [row | {"within": row["strict"] and row["tokens"] <= budget} for row in scores]
    means = measures.problem_means(cut, "within")
    return sum(means.values()) / len(means)
