"""What the fetched files say of a plan: the checks that config.json, tokenizer, rows and problems are needed for.

    found = inspect(model, shard, problems, plan)
    found["findings"], found["sample"]["share_overlong"]

It reads one shard's first rows, so it is over before the long jobs are half way. Lengths are counted as
tokenize will count them, by the same code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import files
from distillery.data import handlers, hub_template, readers, rendering, tokenizer
from distillery.data.conversation import Conversation, Rejected
from distillery.data.documents import DocumentMaker, Rules
from distillery.data.encoding import Encoder
from distillery.planning import facts
from distillery.planning.finding import Finding
from distillery.problems import Problem

PROBE = [{"role": "user", "content": "What is 2+2?"}]
OVERLONG, OPEN, UNBOXED = 0.1, 0.02, 0.1  # shares above which a warning is due
GRAM = 8  # words, as open-r1's decontamination takes them


@dataclass(frozen=True)
class Plan:
    """The settings that the files are held against; `repo` is the model's on a hub, if it comes from one."""

    experiment: str
    prompt_type: str
    answer_prompt_type: str
    handler_name: str
    map_keys: Mapping[str, Any]
    tokenize_length: int | None
    train_length: int
    repo: str = ""
    rows: int = 256

    def key(self, path: str) -> str:
        return f"experiments.{self.experiment}.{path}"


def inspect(model: Path, shard: Path, problems: Path, plan: Plan) -> dict[str, Any]:
    """`{"findings": [Finding], "sample": {...}, "decontamination": {...}}`.

    Raises:
        Problem: a file that cannot be read at all.
    """
    found = [*_config(model, plan), *_template(model, plan)]
    sample, rejected, more = _sample(model, shard, plan)
    overlap = contamination(shard, problems)
    found += [*more, *_rows(sample, rejected, plan), *_decontamination(overlap, plan)]
    return {"findings": found, "sample": sample, "decontamination": overlap}


def _config(model: Path, plan: Plan) -> Iterator[Finding]:
    wrong = facts.mismatches(plan.repo, files.read_json(model / "config.json"))
    if wrong:
        yield Finding(
            "recorded-config",
            (plan.key("model"),),
            "; ".join(wrong),
            "the config.json that this plan was made with",
            "correct planning/architectures.json if the model changed, or the model's revision",
        )


def _template(model: Path, plan: Plan) -> Iterator[Finding]:
    trained = rendering.load(model, plan.prompt_type)
    asked = rendering.load(model, plan.answer_prompt_type)
    split = trained.split_markers()
    if split:
        yield Finding("markers", (plan.key("prompt_type"), plan.key("model")), f"{' '.join(split)} are several tokens",
                      "one token each", "choose the prompt type of the model's family")  # fmt: skip
    if trained.tokenizer.new_tokens:
        yield Finding("new-tokens", (plan.key("prompt_type"), plan.key("model")),
                      f"{' '.join(trained.tokenizer.new_tokens)} are not in the vocabulary", "tokens that the model has",
                      "choose the prompt type of the model's family")  # fmt: skip
    if trained.eos_id not in asked.stop_token_ids:
        yield Finding("stop-ids", (plan.key("tokenize.prompt_type"), plan.key("generate.prompt_type")),
                      f"training ends answers with {trained.eos_id}, generation stops at {asked.stop_token_ids}",
                      "one end token", "write prompt_type once")  # fmt: skip
    size = files.read_json(model / "config.json")["vocab_size"]
    if trained.tokenizer.size() > size:
        yield Finding("vocabulary", (plan.key("model"),), f"{trained.tokenizer.size()} tokens for vocab_size {size}",
                      "at most as many", "correct config.json, or choose a template without new tokens")  # fmt: skip
    try:
        own = hub_template.HubRenderer(tokenizer.load(model)).prompt(PROBE)
    except Problem:
        return  # the tokenizer brings no chat template to compare with
    if own != trained.prompt(PROBE):
        texts = [
            trained.tokenizer.backend.decode(ids, skip_special_tokens=False)
            for ids in (trained.prompt(PROBE), own)
        ]
        yield Finding("chat-template", (plan.key("prompt_type"), plan.key("model")), f"prompts like {texts[0]!r}",
                      f"{texts[1]!r}, as the model's own chat template", "choose that prompt type, or accept this",
                      "warning")  # fmt: skip


def _sample(model: Path, shard: Path, plan: Plan) -> tuple[dict[str, Any], int, list[Finding]]:
    handler = handlers.mapped(plan.handler_name, plan.map_keys)
    wanted, present = handler.columns(), readers.Source(shard).columns()
    missing = [column for column in wanted if column not in present]
    if missing:
        fault = Finding("columns", ("map_keys",), f"no {', '.join(missing)} in {shard.name}", ", ".join(present),
                        "correct map_keys")  # fmt: skip
        return {"rows": 0}, 0, [fault]
    renderer = rendering.load(model, plan.prompt_type)
    maker = DocumentMaker(renderer, Encoder(renderer.tokenizer), Rules())
    lengths, texts, rejected = [], [], 0
    for row in itertools.islice(_read(shard, wanted), plan.rows):
        try:
            conversation = handler.convert(row)
            lengths.append(len(maker.make(conversation).input_ids))
            texts.append(_answers(conversation))
        except Rejected:
            rejected += 1
    return _statistics(lengths, texts, plan), rejected, []


def _read(shard: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
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


def _rows(sample: Mapping[str, Any], rejected: int, plan: Plan) -> Iterator[Finding]:
    if not sample["rows"]:
        if rejected:
            yield Finding("rows", ("map_keys",), f"none of {rejected} rows is a conversation", "usable rows",
                          "correct handler_name and map_keys")  # fmt: skip
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
    if 0 < sample["share_boxed"] < 1 - UNBOXED:
        yield Finding("unboxed", (plan.key("dataset"),), f"{1 - sample['share_boxed']:.1%} of answers without \\boxed{{}}",
                      f"at most {UNBOXED:.0%}", "leave those rows out", "warning")  # fmt: skip


def contamination(shard: Path, problems: Path) -> dict[str, Any]:
    """How many of the problems all of whose runs of 8 words (or, shorter, whose whole text) a shard's problems hold."""
    if "problem" not in readers.Source(shard).columns():
        return {"problems": 0, "contained": 0}
    seen: set[tuple[str, ...]] = set()
    for row in _read(shard, ["problem"]):
        seen.update(grams(row["problem"] or ""))
    asked = [grams(row["problem"]) for row in _read(problems, ["problem"])]
    return {"problems": len(asked), "contained": sum(one <= seen for one in asked)}


def grams(text: str) -> set[tuple[str, ...]]:
    """All runs of 8 words, or the one run of a shorter text; case and punctuation do not count."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + GRAM]) for at in range(max(1, len(words) - GRAM + 1))}


def _decontamination(overlap: Mapping[str, Any], plan: Plan) -> Iterator[Finding]:
    if overlap["contained"]:
        yield Finding("contamination", (plan.key("problems"), plan.key("dataset")),
                      f"{overlap['contained']} of {overlap['problems']} problems occur in the training shard",
                      "none", "leave those rows or those problems out", "warning")  # fmt: skip
