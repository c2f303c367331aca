"""A model card of an export, in Hugging Face's format: data, recipe, scores with intervals, digests, licences.

The header is YAML between two lines of dashes, with `model-index` as `summary.json` has it; what follows is Markdown. Texts of others
stand in code spans, where they are text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distillery import digests
from distillery.digests import MANIFEST
from distillery.report import contents, licences, readable
from distillery.report.licences import Licence
from distillery.terminal_text import printable


@dataclass(frozen=True)
class Told:
    """What a card tells of.

    Attributes:
        name: of the experiment.
        settings: the experiment's resolved configuration.
        read: `exported`, `done` and `summary`: the contents of the export's manifest, done.json and summary.json.
        data: {dataset: manifest} of what was trained on.
        origins: where model and rows come from, as `stated_sources.of` has it.
        licence: of the original's weights.
    """

    name: str
    settings: Mapping[str, Any]
    read: Mapping[str, Any]
    data: Mapping[str, Any]
    origins: Mapping[str, Any]
    licence: Licence


def write(
    target: Path,
    name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    datasets: Mapping[str, Path],
    origins: Mapping[str, Any],
) -> None:
    """Write the card of an export, whose README.md it becomes on the hub.

    Args:
        name, settings, origins: as `Told` has them.
        inputs: paths of `exported`, the export's manifest, `original`, that of the model that was there first, `done` and `summary`.
        datasets: {dataset: manifest} of what was trained on.

    Raises:
        Problem: files are not those that were written.
    """
    read = {role: digests.read_json(inputs[role]) for role in ("exported", "done", "summary")}
    data = {dataset: digests.read_json(path) for dataset, path in datasets.items()}
    names = [one["name"] for one in read["exported"]["files"]]
    licence = licences.of_model(inputs["original"], names)
    digests.write_text(target, card(Told(name, settings, read, data, origins, licence)))


def sets(summary: Mapping[str, Any], first: str) -> Mapping[str, Any]:
    """{problem set: its summary} of all that were asked."""
    return summary.get("sets") or {first: summary}


def card(told: Told) -> str:
    """The card's text."""
    index = [{**one, "name": told.name} for one in told.read["summary"]["model-index"]]
    learned = [one["hub_id"] for one in told.origins["datasets"].values() if one["hub_id"]]
    started = told.origins["model"]["hub_id"]
    header = {
        **told.licence.header,
        **({"base_model": started, "base_model_relation": "finetune"} if started else {}),
        **({"datasets": learned} if learned else {}),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["distillery", "reasoning", "distillation"],
        "model-index": index,
    }
    plain = json.loads(
        json.dumps(header)
    )  # records of JSON files are dicts of our own, which YAML does not know
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    return printable("\n".join(["---", text.rstrip(), "---", *_lines(told), ""]))


def _lines(told: Told) -> Iterator[str]:
    summary, done, origins = told.read["summary"], told.read["done"], told.origins
    yield f"\n# {_code(told.name)}\n"
    began = f"{_code(origins['model']['name'])} ({_code(origins['model']['source'])})"
    before = f", after {', '.join(map(_code, origins['stages']))}" if origins["stages"] else ""
    yield f"{began}, fine-tuned on {', '.join(map(_code, told.data))}{before}. {summary['sentence'][0].upper()}{summary['sentence'][1:]}.\n"
    yield "## Scores\n"
    yield from _table(
        ["problem set", "problems", "answers each", "before", "95 %", "after", "95 %"],
        (
            [
                _code(one),
                row["problems"],
                row["samples"],
                *(
                    cell
                    for side in ("base", "tuned")
                    for cell in (f"{row[side]['accuracy']:.1%}", _interval(row[side]["interval"]))
                ),
            ]
            for one, row in sets(summary, str(told.settings.get("problems"))).items()
        ),
    )
    yield "\n## Data\n"
    yield from _table(
        ["dataset", "rows", "of them kept", "tokens", "shards (sha256)"],
        (
            [
                _code(one),
                readable.amount(row["rows"]),
                readable.amount(row["kept"]),
                readable.amount(row["tokens"]),
                "<br>".join(f"{_code(shard['name'])} {_code(shard['sha256'])}" for shard in row["inputs"]),
            ]
            for one, row in told.data.items()
        ),
    )
    yield "\n## Recipe\n"
    yield from _table(
        ["setting", "value"],
        (
            [_code(key), "–" if value in (None, "") else _code(value)]
            for key, value in contents.flat(dict(told.settings))
        ),
    )
    yield "\n## Digests\n"
    yield from _table(
        ["what", "digest"],
        [
            ["training, its settings, data and start", _code(done["key"])],
            [f"trained weights, step {done['iteration']}", _code(done["payload_digest"])],
            *(
                [f"{_code(one['name'])} of the export", _code(one["sha256"])]
                for one in told.read["exported"]["files"]
                if one.get("sha256")
            ),
        ],
    )
    yield f"\nEvery tensor's checksum is in `{MANIFEST}`.\n"
    yield "## Licences\n"
    yield f"- weights, which began as {began}: {origins['model']['license'] or told.licence.said}"
    for one, row in origins["datasets"].items():
        said = _code(row["license"]) if row["license"] else "not stated in the configuration; ask the source"
        stated = f", as `{row['stated']}` of the configuration states" if row["stated"] else ""
        yield f"- rows of {_code(one)} ({_code(row['source'])}): {said}{stated}"
    yield "\nNothing here grants more than these do."


def _table(head: list[str], rows: Any) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell) for cell in row)} |"


def _interval(bounds: list[float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _code(value: Any) -> str:
    """A text as a code span of a table: nothing in it ends either."""
    text = " ".join(str(value).replace("`", "'").replace("|", "¦").split())
    return f"`{text or ' '}`"
