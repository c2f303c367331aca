"""A sample of a dataset as tokenize will see it: lengths, ends, thoughts and boxes, and rows that it will reject."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery.dataset import AUTO, PLAIN_TEXT
from distillery.marks import END_THINK, THINK
from distillery.planning.fetched_settings import Settings
from distillery.planning.finding import Finding, error, warning
from distillery.tokenize import handlers, readers, recognition
from distillery.tokenize.conversation import Conversation, Rejected
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.encoding import Encoder
from distillery.tokenize.rendering import Renderer

OVERLONG, OPEN, UNBOXED = 0.1, 0.02, 0.1  # shares above which a warning is due
MOST = 0.5  # rejected rows beyond this share stop the plan: the first rows may be worse than the rest, but not so


def take(renderer: Renderer, shard: Path, settings: Settings) -> tuple[dict[str, Any], list[Finding]]:
    """Statistics of a shard's first rows, and what makes them impossible.

    Returns:
        ({"rows": 0, ...}, [Finding]) where the shard lacks columns.
    """
    source = readers.Source(shard)
    read = {"handler_name": settings.handler_name, "map_keys": settings.map_keys}
    if settings.handler_name == AUTO:
        read = dataclasses.asdict(recognition.of(source))
    handler = handlers.mapped(read["handler_name"], read["map_keys"], settings.thoughts)
    wanted = handler.columns()
    present = source.columns()
    missing = [column for column in wanted if column not in present]
    if missing:
        keys, found = [f"datasets.{settings.dataset}.map_keys"], f"no {', '.join(missing)} in {shard.name}"
        fault = error("columns", keys, found, ", ".join(present), "correct map_keys")
        return {"rows": 0, "rejected": {}}, [fault]
    maker = DocumentMaker(renderer, Encoder(renderer.tokenizer), Rules())
    lengths, texts, rejected, unended = [], [], Counter(), 0
    rows = itertools.chain.from_iterable(source.blocks(wanted))
    for row in itertools.islice(rows, settings.rows):
        try:
            conversation = handler.convert(row)
            document = maker.make(conversation)
        except Rejected as fault:
            rejected[fault.reason] += 1
            continue
        lengths.append(len(document.input_ids))
        texts.append(_answers(conversation))
        unended += not (document.labels == renderer.eos_id).any()
    faults = []
    if unended and renderer.pad_id == renderer.eos_id:
        keys = settings.key("prompt_type"), settings.key("model")
        eos = renderer.tokenizer.tokens["eos"]
        found = f"{unended} rows whose labels hold no {eos}, which is padding too"
        cure = "choose a prompt type with an end token of its own"
        faults = [error("pad-end", keys, found, "an end that is learnt", cure)]
    kind = {"plain": True} if read["handler_name"] == PLAIN_TEXT else {}
    return {**_statistics(lengths, texts, settings), "rejected": dict(rejected), **kind}, faults


def _answers(conversation: Conversation) -> str:
    answers = conversation.messages if conversation.is_text else conversation.messages[1::2]
    return "\n".join(message.content for message in answers)


def _statistics(lengths: list[int], texts: list[str], settings: Settings) -> dict[str, Any]:
    count = len(lengths)
    if not count:
        return {"rows": 0}
    ordered = sorted(lengths)
    at = {share: ordered[min(count - 1, int(share * count))] for share in (0.5, 0.9, 0.99)}
    thinking = [text for text in texts if THINK in text]
    closed = sum(text.count(THINK) == text.count(END_THINK) for text in thinking)
    return {
        "rows": count,
        "mean": sum(lengths) / count,
        "p50": at[0.5],
        "p90": at[0.9],
        "p99": at[0.99],
        "max": ordered[-1],
        "share_overlong": sum(length >= settings.train_length for length in lengths) / count,
        "share_thinking": len(thinking) / count,
        "share_open": 1 - closed / len(thinking) if thinking else 0.0,
        "share_boxed": sum("\\boxed{" in text for text in texts) / count,
    }


def findings(sample: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    """What a sample says against the plan."""
    rejected = sum(sample["rejected"].values())
    total = sample["rows"] + rejected
    if rejected and rejected / total > settings.max_rejected_share:
        reasons = [f"{reason} ({count})" for reason, count in Counter(sample["rejected"]).most_common()]
        yield (error if rejected / total > MOST else warning)(
            "rows",
            [f"datasets.{settings.dataset}.map_keys", settings.key("tokenize.max_rejected_share")],
            f"{rejected} of the first {total} rows cannot be used: {', '.join(reasons)}",
            f"at most {settings.max_rejected_share:.0%}",
            "correct handler_name and map_keys, or leave those rows out",
        )
    if not sample["rows"]:
        return
    share, length = sample["share_overlong"], settings.train_length
    keys = settings.key("tokenize.seq_length"), settings.key("train.seq_length")
    if share and (settings.tokenize_length is None or settings.tokenize_length > length):
        found = f"{share:.1%} of rows lose their end, and the end token with it, in training"
        yield error("cut-answers", keys, found, "none", "leave tokenize.seq_length out")
    elif share > OVERLONG:
        found = f"{share:.1%} of rows have {length} tokens or more and are left out"
        cure = "train with longer sequences, or accept this"
        yield warning("overlong-rows", keys, found, f"at most {OVERLONG:.0%}", cure)
    keys, cure = [settings.key("dataset")], "leave those rows out"
    if sample["share_open"] > OPEN:
        found = f"{sample['share_open']:.1%} of <think> never closed"
        yield warning("open-think", keys, found, f"at most {OPEN:.0%}", cure)
    if sample["share_boxed"] < 1 - UNBOXED and not sample.get("plain"):
        found = f"{1 - sample['share_boxed']:.1%} of answers without \\boxed{{}}"
        yield warning("unboxed", keys, found, f"at most {UNBOXED:.0%}", cure)
