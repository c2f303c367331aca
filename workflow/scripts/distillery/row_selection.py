"""Which rows of a dataset an experiment learns: the filters of its `select`, and what else decides what they leave out.

Selections that agree in all of it share a name, hence their files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery.provenance import digest

COUNTED = (
    "append_eod",
    "special_tokens_in_text",
    "enable_thinking",
)  # of tokenize, that decide a row's tokens


@dataclass(frozen=True)
class RowSelection:
    """What decides which rows of a dataset are left out.

    Attributes:
        shards: so many of the first; None for all.
        filters: the keys of `select`.
        problems: problem sets whose words are looked for.
        tokens: how rows become tokens, with the `model` whose tokenizer it is; None where they are not counted.
        earlier: (dataset, name of its selection) of those before it in a mix, whose rows it must not repeat.
    """

    dataset: str
    shards: int | None
    filters: Mapping[str, Any]
    problems: tuple[str, ...]
    tokens: Mapping[str, Any] | None
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The directory's."""
        said = {key: value for key, value in vars(self).items() if value or key != "earlier"}
        return f"select-{digest(said)[:8]}"


def of(
    filters: Mapping[str, Any] | None,
    datasets: Sequence[str],
    problems: Sequence[str],
    made: Mapping[str, Any],
) -> dict[str, RowSelection | None]:
    """The selection from each of its datasets that an experiment's `select` asks for; None without one.

    Of rows that are duplicates, in one dataset or in several, the first in the order of the datasets is kept.

    Args:
        filters: with defaults filled in.
        problems: all problem sets of the experiment.
        made: the tokenization's settings, with `model` and `prompt_type`.
    """
    if filters is None:
        return dict.fromkeys(datasets)
    looked = tuple(problems) if filters.get("overlap_words") else ()
    counts = filters.get("min_tokens") or filters.get("max_tokens")
    tokens = {key: made[key] for key in ("model", "prompt_type", *COUNTED) if key in made} if counts else None
    compared = filters.get("exact_duplicates") or filters.get("near_duplicates")
    found: dict[str, RowSelection] = {}
    for one in datasets:
        earlier = tuple((name, chosen.name) for name, chosen in found.items()) if compared else ()
        found[one] = RowSelection(one, made.get("shards"), filters, looked, tokens, earlier)
    return dict(found)


def faults(filled: Mapping[str, Any]) -> Iterator[str]:
    """Bounds that no row can keep."""
    for name, experiment in filled["experiments"].items():
        asked = experiment.get("select", {})
        for what in ("tokens", "pass_rate"):
            low, high = asked.get(f"min_{what}"), asked.get(f"max_{what}")
            if low is not None and high is not None and low > high:
                yield f"experiments.{name}.select: found min_{what} {low} above max_{what} {high}, no row is both"
