"""Files in, an indexed dataset out: read blocks of rows, tokenize them (in processes if asked), write in order.

Everything is written beside its target under a name that begins with a dot, and renamed at the end with the
manifest last: a killed run leaves nothing that a reader takes for data or that the next run trips over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from distillery import files
from distillery.data import encoding, handlers, rendering, templates, tokenizer, workers
from distillery.data.conversation import Rejected
from distillery.data.documents import DocumentMaker, Rules
from distillery.data.handlers import Alpaca, Sharegpt
from distillery.data.outputs import NAMED_ROWS, Outputs
from distillery.data.readers import Source
from distillery.problems import Problem

UUID = "uuid"


@dataclass(frozen=True)
class Recipe:
    """What makes ids of rows; picklable, so that each worker builds its own tools from it."""

    tokenizer: Path
    prompt_type: str
    handler_name: str
    map_keys: dict[str, Any] | None = None
    rules: Rules = Rules()
    exact_only: bool = False
    templates: Path = templates.TEMPLATES

    def handler(self) -> Sharegpt | Alpaca:
        return handlers.mapped(self.handler_name, self.map_keys)

    def renderer(self) -> rendering.Renderer:
        return rendering.Renderer(
            templates.load(self.prompt_type, self.templates), tokenizer.load(self.tokenizer)
        )


@dataclass
class Part:
    """The outcome of one block of rows. Arrays are concatenated documents, in the order of the rows."""

    input_ids: np.ndarray
    labels: np.ndarray
    outcomes: np.ndarray  # [documents] tokens of each, -1 if too long and dropped
    rows: list[int]  # row number of each document
    uuids: list[str | None]
    seen: int
    truncated: int = 0
    rejected: list[dict[str, Any]] = field(default_factory=list)
    noted: list[tuple[str, int, str | None]] = field(default_factory=list)
    overlong: list[tuple[int, str | None, int]] = field(default_factory=list)
    roles: Counter = field(default_factory=Counter)


class Tokenizing:
    """The work of one process: blocks of rows to parts."""

    def __init__(self, recipe: Recipe) -> None:
        self.handler = recipe.handler()
        self.renderer = recipe.renderer()
        self.encoder = encoding.Encoder(self.renderer.tokenizer, recipe.exact_only)
        self.maker = DocumentMaker(self.renderer, self.encoder, recipe.rules)

    def __call__(self, block: tuple[str, int, list[dict[str, Any]]]) -> Part:
        """Args:
        block: (file name, number of the first row in that file, rows).
        """
        name, first, rows = block
        none = np.empty(0, np.int32)
        part = Part(none, none, none, [], [], len(rows))
        ids, labels, outcomes = [none], [none], []
        for number, row in enumerate(rows, first):
            uuid = row.get(UUID)
            uuid = uuid if uuid is None else str(uuid)
            try:
                conversation = self.handler.convert(row)
                document = self.maker.make(conversation)
            except Rejected as error:
                entry = {"file": name, "row": number, "uuid": uuid, "reason": error.reason}
                part.rejected.append(entry | ({"detail": error.detail} if error.detail else {}))
                continue
            if number % encoding.CROSS_CHECK_EVERY == 0:
                self.encoder.cross_check(conversation.messages[-1].content)
            part.rows.append(number)
            part.uuids.append(uuid)
            part.noted += [(note, number, uuid) for note in document.notes]
            part.truncated += document.truncated
            part.roles.update(message.role for message in conversation.messages)
            if document.overlong:
                part.overlong.append((number, uuid, len(document.input_ids)))
                outcomes.append(-1)
            else:
                ids.append(document.input_ids)
                labels.append(document.labels)
                outcomes.append(len(document.input_ids))
        part.input_ids, part.labels = np.concatenate(ids), np.concatenate(labels)
        part.outcomes = np.array(outcomes, np.int64)
        return part


def blocks(
    sources: list[Source], handler: Sharegpt | Alpaca, most: int | None
) -> Iterator[tuple[str, int, list]]:
    """(file name, first row number, rows) of all files in order, `most` rows in all if given."""
    left = most
    for source in sources:
        columns = source.check(handler.columns(), (UUID,))
        number = 0
        for rows in source.blocks(columns):
            if left is not None:
                rows = rows[:left]
                left -= len(rows)
            if rows:
                yield source.path.name, number, rows
            number += len(rows)
            if left == 0:
                return


@dataclass
class Tally:
    """What the manifest counts. Rows that are odd or dropped are named up to NAMED_ROWS of a kind."""

    read: int = 0
    kept: int = 0
    truncated: int = 0
    tokens: int = 0
    supervised: int = 0
    reasons: Counter = field(default_factory=Counter)
    roles: Counter = field(default_factory=Counter)
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_file: Counter = field(default_factory=Counter)

    def name(self, kind: str, file: str, row: int, uuid: str | None) -> None:
        entry = self.kinds.setdefault(kind, {"count": 0, "rows": []})
        entry["count"] += 1
        if len(entry["rows"]) < NAMED_ROWS:
            entry["rows"].append({"file": file, "row": row, "uuid": uuid})


def run(
    recipe: Recipe,
    sources: list[Source],
    prefix: Path,
    *,
    processes: int = 1,
    max_samples: int | None = None,
    max_rejected_share: float | None = None,
    log_interval: int = 1000,
) -> dict[str, Any]:
    """Write the dataset `prefix` and return its manifest.

    Raises:
        Problem: an unreadable file, an over-long row with overlong="error", too many rejected rows, or nothing left.
    """
    handler = recipe.handler()
    renderer = recipe.renderer()
    for source in sources:
        source.check(handler.columns(), (UUID,))
    tally = Tally()
    with Outputs(prefix) as outputs:
        stream = workers.ordered(Tokenizing, recipe, blocks(sources, handler, max_samples), processes)
        for (name, _, _), part in workers.with_progress(stream, log_interval):
            tally.read += part.seen
            tally.by_file[name] += part.seen
            tally.truncated += part.truncated
            tally.roles += part.roles
            for entry in part.rejected:
                tally.reasons[entry["reason"]] += 1
                outputs.reject(entry)
            for note, row, uuid in part.noted:
                tally.name(note, name, row, uuid)
            for row, uuid, tokens in part.overlong:
                if recipe.rules.overlong == "error":
                    raise _overlong(name, row, uuid, tokens, recipe.rules)
                tally.name("overlong", name, row, uuid)
            tally.kept += int((part.outcomes >= 0).sum())
            outputs.append(name, part)
        _check(tally, sources, max_rejected_share)
        outputs.finish(recipe.rules, renderer.pad_id)
        manifest = describe(recipe, renderer, sources, tally, outputs)
        outputs.commit(manifest)
    return manifest


def describe(
    recipe: Recipe, renderer: rendering.Renderer, sources: list[Source], tally: Tally, outputs: Outputs
) -> dict:
    """The manifest: counts, options and digests; no paths and no times."""
    overlong = tally.kinds.pop("overlong", {"count": 0, "rows": []})
    return {
        "format": "megatron-indexed",
        "handler": recipe.handler_name,
        "map_keys": recipe.map_keys,
        "template": renderer.record(),
        "split_markers": renderer.split_markers(),
        "tokenizer": {
            "sha256": renderer.tokenizer.sha256,
            "size": renderer.tokenizer.size(),
            "pad_token_id": renderer.pad_id,
            "new_tokens": renderer.tokenizer.new_tokens,
        },
        "options": asdict(recipe.rules),
        "inputs": [
            {"name": s.path.name, "sha256": files.sha256(s.path), "rows": tally.by_file[s.path.name]}
            for s in sources
        ],
        "rows": tally.read,
        "kept": tally.kept,
        "truncated": tally.truncated,
        "rejected": {"count": sum(tally.reasons.values()), "reasons": dict(tally.reasons)},
        "dropped": {"overlong": overlong},
        "noted": tally.kinds,
        "roles": dict(tally.roles),
        "documents": outputs.sequences,
        "tokens": outputs.tokens,
        "supervised_tokens": outputs.supervised,
        "crc32": {name: [value] for name, value in outputs.checksums.items()},
    }


def _check(tally: Tally, sources: list[Source], max_rejected_share: float | None) -> None:
    rejected = sum(tally.reasons.values())
    frequent = "; ".join(f"{reason} ({count})" for reason, count in tally.reasons.most_common(3))
    where = sources[0].path if len(sources) == 1 else sources[0].path.parent
    if tally.read == 0:
        raise Problem("no rows", where=where, found="an empty table", wanted="at least one row")
    if max_rejected_share is not None and rejected > max_rejected_share * tally.read:
        raise Problem(
            "too many rows were rejected",
            where=where,
            found=f"{rejected} of {tally.read} rows ({rejected / tally.read:.2%}): {frequent}",
            wanted=f"at most {max_rejected_share:.2%}",
            fix="see the reasons; check --map-keys, mend the rows, or raise --max-rejected-share",
        )
    if tally.kept == 0:
        dropped = tally.kinds.get("overlong", {"count": 0})["count"]
        raise Problem(
            "no row is left to train on",
            where=where,
            found=f"{tally.read} rows read, {rejected} rejected, {dropped} too long"
            + (f": {frequent}" if frequent else ""),
            wanted="at least one usable row",
            fix="check --map-keys" if rejected else "raise --seq-length or give --overlong truncate-keep-eos",
        )


def _overlong(name: str, row: int, uuid: str | None, tokens: int, rules: Rules) -> Problem:
    return Problem(
        "a row is too long",
        where=f"{name}, row {row}" + (f" (uuid {uuid})" if uuid else ""),
        found=f"{tokens} tokens",
        wanted=f"fewer than --seq-length {rules.seq_length}",
        fix="raise --seq-length, or give --overlong drop or truncate-keep-eos",
    )
