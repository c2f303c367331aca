"""A sample of a dataset as tokenize will see it: lengths, ends, thoughts and boxes, and rows that it will reject."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.planning.finding import Finding
from distillery.tokenize import handlers, readers, rendering
from distillery.tokenize.conversation import Conversation, Rejected
from distillery.tokenize.documents import DocumentMaker, Rules
from distillery.tokenize.encoding import Encoder

if TYPE_CHECKING:
    from distillery.planning.fetched import Plan

OVERLONG, OPEN, UNBOXED = 0.1, 0.02, 0.1  # shares above which a warning is due
MOST = 0.5  # rejected rows beyond this share stop the plan: the first rows may be worse than the rest, but not so


def take(model: Path, shard: Path, plan: Plan) -> tuple[dict[str, Any], list[Finding]]:
    """Statistics of a shard's first rows, and what makes them impossible.

    Returns:
        ({"rows": 0, ...}, [Finding]) where the shard lacks columns.
    """
    handler = handlers.mapped(plan.handler_name, plan.map_keys)
    wanted, present = handler.columns(), readers.Source(shard).columns()
    missing = [column for column in wanted if column not in present]
    if missing:
        fault = Finding("columns", (f"datasets.{plan.dataset}.map_keys",), f"no {', '.join(missing)} in {shard.name}",
                        ", ".join(present), "correct map_keys")  # fmt: skip
        return {"rows": 0, "rejected": {}}, [fault]
    renderer = rendering.load(model, plan.prompt_type)
    maker = DocumentMaker(renderer, Encoder(renderer.tokenizer), Rules())
    lengths, texts, rejected, unended = [], [], Counter(), 0
    for row in itertools.islice(read(shard, wanted), plan.rows):
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
        faults.append(
            Finding("pad-end", (plan.key("prompt_type"), plan.key("model")),
                    f"{unended} rows whose labels hold no {renderer.tokenizer.tokens['eos']}, which is padding too",
                    "an end that is learnt", "choose a prompt type with an end token of its own")
        )  # fmt: skip
    return {**_statistics(lengths, texts, plan), "rejected": dict(rejected)}, faults


def read(shard: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """Rows of a parquet file, these columns of them."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(shard).iter_batches(batch_size=256, columns=columns):
        yield from batch.to_pylist()


def _answers(conversation: Conversation) -> str:
    return "\n".join(message.content for message in conversation.messages[1::2])


def _statistics(lengths: list[int], texts: list[str], plan: Plan) -> dict[str, Any]:
    count = len(lengths)
    if not count:
        return {"rows": 0}
    ordered = sorted(lengths)
    at = {share: ordered[min(count - 1, int(share * count))] for share in (0.5, 0.9, 0.99)}
    thinking = [text for text in texts if "<think>" in text]
    closed = sum(text.count("<think>") == text.count("</think>") for text in thinking)
    return {
        "rows": count,
        "mean": sum(lengths) / count,
        "p50": at[0.5],
        "p90": at[0.9],
        "p99": at[0.99],
        "max": ordered[-1],
        "share_overlong": sum(length >= plan.train_length for length in lengths) / count,
        "share_thinking": len(thinking) / count,
        "share_open": 1 - closed / len(thinking) if thinking else 0.0,
        "share_boxed": sum("\\boxed{" in text for text in texts) / count,
    }


def findings(sample: Mapping[str, Any], plan: Plan) -> Iterator[Finding]:
    """What a sample says against the plan."""
    rejected = sum(sample["rejected"].values())
    total = sample["rows"] + rejected
    if rejected and rejected / total > plan.max_rejected_share:
        reasons = ", ".join(
            f"{reason} ({count})" for reason, count in Counter(sample["rejected"]).most_common()
        )
        yield Finding("rows", (f"datasets.{plan.dataset}.map_keys", plan.key("tokenize.max_rejected_share")),
                      f"{rejected} of the first {total} rows cannot be used: {reasons}",
                      f"at most {plan.max_rejected_share:.0%}", "correct handler_name and map_keys, or leave those rows out",
                      "error" if rejected / total > MOST else "warning")  # fmt: skip
    if not sample["rows"]:
        return
    share = sample["share_overlong"]
    keys = (plan.key("tokenize.seq_length"), plan.key("train.seq_length"))
    if share and (plan.tokenize_length is None or plan.tokenize_length > plan.train_length):
        yield Finding("cut-answers", keys, f"{share:.1%} of rows lose their end, and the end token with it, in training",
                      "none", "leave tokenize.seq_length out")  # fmt: skip
    elif share > OVERLONG:
        yield Finding("overlong-rows", keys, f"{share:.1%} of rows have {plan.train_length} tokens or more and are left out",
                      f"at most {OVERLONG:.0%}", "train with longer sequences, or accept this", "warning")  # fmt: skip
    if sample["share_open"] > OPEN:
        yield Finding("open-think", (plan.key("dataset"),), f"{sample['share_open']:.1%} of <think> never closed",
                      f"at most {OPEN:.0%}", "leave those rows out", "warning")  # fmt: skip
    if sample["share_boxed"] < 1 - UNBOXED:
        yield Finding("unboxed", (plan.key("dataset"),), f"{1 - sample['share_boxed']:.1%} of answers without \\boxed{{}}",
                      f"at most {UNBOXED:.0%}", "leave those rows out", "warning")  # fmt: skip
