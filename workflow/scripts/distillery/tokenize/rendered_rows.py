"""The first rows of datasets whose files are here, as training will see them: what a plan shows before anything is long."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery import artefacts, terminal_text
from distillery.experiment import Config, Dataset
from distillery.tokenize import handlers, held_rows, recognition, templates
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.readers import Source
from distillery.tokenize.templates import EOS, Mark, Template

SHOWN, LONGEST = 3, 400  # rows, and characters of each


def of(config: Config) -> list[dict[str, Any]]:
    """{"dataset", "prompt_type", "handler", "said", "rows"} of each dataset under each prompt type it is trained with.

    Those whose files lie elsewhere are shown once their first one was fetched.

    Raises:
        Problem: a file that cannot be read, or lacks a column that the handler reads.
    """
    asked = {
        (part.dataset, part.tokenize.prompt_type) for e in config.experiments.values() for part in e.parts
    }
    there = [(config.datasets[name], prompt_type) for name, prompt_type in sorted(asked)]
    return [_shown(one, prompt_type, found) for one, prompt_type in there if (found := _sources(one))]


def _sources(dataset: Dataset) -> list[Source]:
    if dataset.source.kind == "path":
        folder = Path(dataset.source.settings["path"])
        return [Source(folder / path) for path in dataset.paths.values()]
    first = Path(artefacts.SHARD.at(dataset=dataset.name, shard=dataset.shards[0]))
    return [Source(first)] if first.is_file() else []


def _shown(dataset: Dataset, prompt_type: str, sources: list[Source]) -> dict[str, Any]:
    handler, map_keys, said = dataset.handler_name, dataset.map_keys, ""
    if dataset.is_auto:
        found = recognition.of(sources[0])
        handler, map_keys, said = found.handler_name, found.map_keys, found.said
    template = templates.load(prompt_type)
    reader = handlers.mapped(handler, map_keys, dataset.thoughts)
    held = held_rows.of(dataset.hold_out)
    columns, held_columns = reader.columns(), held.columns if held else ()
    rows = itertools.chain.from_iterable(
        block for source in sources for block in source.blocks(source.check(columns, (), held_columns))
    )
    learnt = (row for row in rows if not (held and held.holds(row)))
    return {
        "dataset": dataset.name,
        "prompt_type": prompt_type,
        "handler": handler,
        "said": said,
        "rows": [_conversation(row, template, reader) for row in itertools.islice(learnt, SHOWN)],
    }


def _conversation(row: Mapping[str, Any], template: Template, reader: handlers.Handler) -> str:
    try:
        pieces = [*itertools.chain.from_iterable(template.render(reader.convert(row)))]
    except Rejected as error:
        return f"rejected: {error.reason}" + (f" ({error.detail})" if error.detail else "")
    return "".join(_spelt(piece, template) for piece in [*pieces, *[EOS] * template.efficient_eos])


def _spelt(piece: str | Mark, template: Template) -> str:
    """A piece as text; of the tokenizer's own tokens nothing but their part is known here."""
    if isinstance(piece, str):
        return piece
    ends = template.stop_words if template.replace_eos and piece == EOS else ()
    return piece.token or next(iter(ends), f"<{piece.special}>")


def lines(shown: list[dict[str, Any]]) -> Iterator[str]:
    """The same as text for a terminal."""
    for one in shown:
        said = f", told by {one['said']}" if one["said"] else ""
        yield f"{one['dataset']}: {one['handler']}{said}; its first rows as {one['prompt_type']} renders them:"
        for number, row in enumerate(one["rows"]):
            cut = (
                row
                if len(row) <= LONGEST
                else f"{row[:LONGEST]} ... and {len(row) - LONGEST} characters more"
            )
            for line in f"[row {number}] {cut}".split("\n"):
                yield f"  {terminal_text.printable(line)}"
