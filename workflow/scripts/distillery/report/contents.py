"""What the page says, as plain JSON values: verdict, families, examples, flips, flat tables, digests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery import json_files

Rows = list[dict[str, Any]]
ById = Mapping[str, dict[str, Any]]
EXAMPLES_OF_A_KIND = 3
ENDING = 1500  # characters of an answer that is shown in the page itself
QUALITY = ("unclosed_think", "missing_boxed", "empty_answer", "exact_duplicate", "near_duplicate")


def verdict(comparison: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """The headline and the sentence below it."""
    base, tuned, paired = comparison["base"], comparison["tuned"], comparison["paired"]
    low, high = (100 * bound for bound in paired["difference_interval"])
    headline = {
        "better": "The tuned model is better",
        "worse": "The tuned model is worse",
        "no clear difference": "No clear difference",
    }[summary["verdict"]]
    points = 100 * paired["difference"]
    sentence = (
        f"From {base['accuracy']:.1%} to {tuned['accuracy']:.1%} right on {comparison['problems']} held-out problems: "
        f"{points:+.1f} points, with 95 % confidence between {low:+.1f} and {high:+.1f}."
    )
    power = None
    if summary["verdict"] == "no clear difference":
        power = f"{summary['sentence'][0].upper()}{summary['sentence'][1:]}."
    return {"kind": summary["verdict"], "headline": headline, "sentence": sentence, "power": power}


def families(comparison: dict[str, Any]) -> Rows:
    """Rows of the accuracy table: all problems, then each family."""
    keys = ("n", "right", "accuracy", "interval")
    total = {
        "family": "all",
        **{name: {key: comparison[name][key] for key in keys} for name in ("base", "tuned")},
    }
    return [total, *({"family": name, **sides} for name, sides in comparison["families"].items())]


def quality(card: dict[str, Any]) -> Rows:
    """Rows of the data quality table: what was counted, how often, and what share of all rows that is."""
    lengths = card["lengths"]
    counted = [
        ("rejected", card["rejected"]["count"]),
        ("dropped as too long", card["dropped"]["overlong"]),
        *((why.replace("_", " "), rows) for why, rows in card["dropped"].items() if why != "overlong"),
        *card["noted"].items(),
        (f"longer than the {lengths['seq_length']} tokens of training", lengths["cut_rows"]),
        *((kind.replace("_", " "), card[kind]["rows"]) for kind in QUALITY),
        *(
            (f"sharing {card['overlap_words']} words in a row with a problem of {name}", one["rows"])
            for name, one in card["overlap"].items()
        ),
    ]
    return [{"measure": name, "rows": rows, "share": rows / card["rows"]} for name, rows in counted]


def without_tokens(record: json_files.Record) -> json_files.Record:
    """An answer as it is shown: of its ids only how many they are, for those of thousands of long answers fill gigabytes."""
    kept = {key: record[key] for key in ("id", "sample", "text")} | {
        "tokens": len(record.typed("tokens", list))
    }
    return json_files.Record(kept).at(record.where)


def selection(card: dict[str, Any]) -> Rows:
    """Rows of the table of filters: what each left out, what share of all rows that is, and the first of them."""
    chosen = card.get("selection", {"left_out": []})
    return [
        {**one, "filter": one["filter"].replace("_", " "), "share": one["rows"] / chosen["rows"]}
        for one in chosen["left_out"]
    ]


def mixed_quality(cards: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """The quality tables of a mix's datasets side by side: `datasets` by name, of each measure `rows` with one for each of them.

    Args:
        cards: of all datasets; None comes of fewer than two. What a dataset does not count is None.
    """
    if len(cards) < 2:
        return None
    tables = [
        {row["measure"]: row for row in [*quality(card), *_left_out_by(card)]} for card in cards.values()
    ]
    measures = dict.fromkeys(measure for table in tables for measure in table)
    found = [{"measure": one, "datasets": [table.get(one) for table in tables]} for one in measures]
    return {"datasets": list(cards), "rows": found}


def _left_out_by(card: dict[str, Any]) -> Rows:
    """What each filter left out, as measures."""
    return [
        {"measure": f"left out by {one['filter']}", "rows": one["rows"], "share": one["share"]}
        for one in selection(card)
    ]


def answers(problems: Rows, generations: Mapping[str, ById], scores: Mapping[str, ById]) -> Rows:
    """For each problem its text, gold answer and both models' first samples with their scores.

    Args:
        generations, scores: {side: {id: row}}, of first samples.
    """
    judged = ("strict", "lenient", "answer", "stop", "unfinished_think")

    def side(name: str, uuid: str) -> dict[str, Any]:
        row, score = generations[name][uuid], scores[name][uuid]
        return {"text": row["text"], "tokens": row["tokens"]} | {key: score[key] for key in judged}

    return [
        {key: problem[key] for key in ("uuid", "problem", "answer", "problem_type")}
        | {name: side(name, problem["uuid"]) for name in ("base", "tuned")}
        for problem in problems
    ]


def examples(answered: Rows) -> Rows:
    """A few answers of each kind of outcome, families taking turns, in the order of the problem set."""
    kinds = {
        "gained": lambda row: row["tuned"]["strict"] and not row["base"]["strict"],
        "lost": lambda row: row["base"]["strict"] and not row["tuned"]["strict"],
        "wrong in both": lambda row: not (row["base"]["strict"] or row["tuned"]["strict"]),
        "right in both": lambda row: row["base"]["strict"] and row["tuned"]["strict"],
    }
    chosen = []
    for kind, belongs in kinds.items():
        rows = [row for row in answered if belongs(row)]
        turn: dict[str, int] = {}
        ranked = []
        for place, row in enumerate(rows):
            turn[row["problem_type"]] = turn.get(row["problem_type"], -1) + 1
            ranked.append((turn[row["problem_type"]], place, row))
        ranked.sort(key=lambda entry: entry[:2])
        chosen += [{"kind": kind, "of": len(rows), **row} for _, _, row in ranked[:EXAMPLES_OF_A_KIND]]
    return chosen


def end(text: str) -> str:
    """The end of an answer, where its result stands; what is left out is counted."""
    cut = len(text) - ENDING
    return text if cut <= 0 else f"… ({cut} characters before)\n{text[cut:]}"


def flips(answered: Rows, paired: dict[str, Any]) -> Rows:
    """Problems whose outcome changed, lost ones first, with both answers."""
    by_id = {row["uuid"]: row for row in answered}
    return [
        {
            "flip": kind,
            "id": problem,
            "family": by_id[problem]["problem_type"],
            "problem": by_id[problem]["problem"],
            "gold": by_id[problem]["answer"],
            "base": by_id[problem]["base"]["answer"],
            "tuned": by_id[problem]["tuned"]["answer"],
            "texts": {
                side: by_id[problem][side] | {"text": end(by_id[problem][side]["text"])}
                for side in ("base", "tuned")
            },
        }
        for kind in ("lost", "gained")
        for problem in paired[kind]
    ]


def flat(value: Any, prefix: str = "", longest: float = 200) -> list[tuple[str, Any]]:
    """(dotted key, scalar) pairs of nested JSON; lists of scalars stay whole, texts longer than this are left to their file."""
    if isinstance(value, dict):
        return [
            pair
            for key, item in value.items()
            for pair in flat(item, f"{prefix}.{key}" if prefix else str(key), longest)
        ]
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return [
            pair for number, item in enumerate(value) for pair in flat(item, f"{prefix}.{number}", longest)
        ]
    if isinstance(value, str) and len(value) > longest:
        return [(prefix, f"{value[: int(longest)]} … ({len(value)} characters)")]
    return [(prefix, ", ".join(map(str, value)) if isinstance(value, list) else value)]


def sets(summary: Mapping[str, Any], shown: str) -> Rows:
    """Rows of the table of all problem sets, none where there is one only.

    Args:
        shown: the one that this page is about; each of the others has a page of its own.
    """
    named = summary.get("sets", {})
    if len(named) < 2:
        return []
    return [
        {
            "name": name,
            "page": None if name == shown else f"sets/{name}/report.html",
            **{key: one[key] for key in ("base", "tuned", "problems", "samples", "sentence")},
        }
        for name, one in sorted(named.items(), key=lambda item: (item[0] != shown, item[0]))
    ]
