"""A model card beside an export, in Hugging Face's format: data, recipe, scores with intervals, digests, licences.

The header is YAML between two lines of dashes, with `model-index` as `summary.json` has it; what follows is Markdown. Texts of others
stand in code spans, where they are text.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from distillery import artefacts, config, digests, files
from distillery.digests import MANIFEST
from distillery.problems import Problem
from distillery.report import contents, readable
from distillery.terminal_text import printable

CARD = "README.md"


def run(args: argparse.Namespace) -> str:
    """Write README.md beside the export that report_card.py's flags name; says where it is.

    Raises:
        UsageProblem: no such experiment.
        Problem: it has not been run to its scores, or files are not those that were written.
    """
    settings = config.read(args.configfile)
    e = config.experiment(settings, args.experiment, "--experiment")
    places = {
        "exported": Path(artefacts.EXPORTED.at(experiment=e.name)),
        "done": Path(artefacts.TRAINED.at(experiment=e.name)),
        "summary": Path(artefacts.SUMMARY.at(experiment=e.name)),
    }
    data = {part.dataset: Path(artefacts.tokenized(e.alone(part)).path) for part in e.parts}
    for place in (*places.values(), *data.values()):
        if not place.is_file():
            raise Problem(
                "the experiment has not been run to its scores",
                where=place,
                found="no such file",
                fix=digests.again(place),
            )
    read = {role: digests.read_json(place) for role, place in places.items()}
    manifests = {name: digests.read_json(place) for name, place in data.items()}
    target = places["exported"].with_name(CARD)
    files.write_text(
        target, card(e.name, e.settings, read, manifests, (target.with_name("LICENSE")).is_file())
    )
    return f"{target}: the card of {e.name}, with scores of {', '.join(sets(read['summary'], e.problems))}"


def sets(summary: Mapping[str, Any], first: str) -> Mapping[str, Any]:
    """{problem set: its summary} of all that were asked."""
    return summary.get("sets") or {first: summary}


def card(
    name: str, settings: Mapping[str, Any], read: Mapping[str, Any], data: Mapping[str, Any], licensed: bool
) -> str:
    """The card's text.

    Args:
        settings: the experiment's resolved configuration.
        read: `exported`, `done` and `summary`: the contents of the export's manifest, done.json and summary.json.
        data: {dataset: manifest} of what was trained on.
        licensed: whether the export carries the original's LICENSE.
    """
    index = [{**one, "name": name} for one in read["summary"]["model-index"]]
    licence = (
        {"license": "other", "license_name": "of-the-original", "license_link": "LICENSE"}
        if licensed
        else {"license": "unknown"}
    )
    header = {
        **licence,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["distillery", "reasoning", "distillation"],
        "model-index": index,
    }
    plain = json.loads(
        json.dumps(header)
    )  # records of JSON files are dicts of our own, which YAML does not know
    text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)
    return printable(
        "\n".join(["---", text.rstrip(), "---", *_lines(name, settings, read, data, licensed), ""])
    )


def _lines(
    name: str, settings: Mapping[str, Any], read: Mapping[str, Any], data: Mapping[str, Any], licensed: bool
) -> Iterator[str]:
    summary, done = read["summary"], read["done"]
    yield f"\n# {_code(name)}\n"
    yield f"{_code(settings['model'])}, fine-tuned on {', '.join(map(_code, data))}. {summary['sentence'][0].upper()}{summary['sentence'][1:]}.\n"
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
            for one, row in sets(summary, str(settings.get("problems"))).items()
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
            for one, row in data.items()
        ),
    )
    yield "\n## Recipe\n"
    yield from _table(
        ["setting", "value"], ([_code(key), _code(value)] for key, value in contents.flat(dict(settings)))
    )
    yield "\n## Digests\n"
    yield from _table(
        ["what", "digest"],
        [
            ["training, its settings, data and start", _code(done["key"])],
            [f"trained weights, step {done['iteration']}", _code(done["payload_digest"])],
            *(
                [f"{_code(one['name'])} of this folder", _code(one["sha256"])]
                for one in read["exported"]["files"]
                if one.get("sha256")
            ),
        ],
    )
    yield f"\nEvery tensor's checksum is in `{MANIFEST}`.\n"
    yield "## Licences\n"
    yield "- weights: " + (
        "see `LICENSE`, which the original model came with"
        if licensed
        else "those of the original model, which came without a LICENSE file"
    )
    yield "- data: those of the datasets' sources; nothing here grants more"


def _table(head: list[str], rows: Any) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell) for cell in row)} |"


def _interval(bounds: list[float]) -> str:
    return f"{bounds[0]:.1%} to {bounds[1]:.1%}"


def _code(value: Any) -> str:
    """A text as a code span of a table: nothing in it ends either."""
    text = " ".join(str(value).replace("`", "'").replace("|", "¦").split())
    return f"`{text or ' '}`"
