"""What the fetched files say of a plan: the checks that config.json, tokenizer, rows and problems are needed for.

    found = inspect(model, shard, problems, plan)
    found["findings"], found["sample"]["share_overlong"]

It reads one shard's first rows, so it is over before the long jobs are half way. Lengths are counted as
tokenize and inference will count them, by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from distillery import files
from distillery.experiment import Config
from distillery.generate import prompter, prompts
from distillery.planning import checks, known_models, overlap, sample
from distillery.planning.experiment_setup import gather
from distillery.planning.finding import Finding
from distillery.problems import Problem
from distillery.tokenize import hub_template, rendering, tokenizer

PROBE = [{"role": "user", "content": "What is 2+2?"}]


@dataclass(frozen=True)
class Plan:
    """The settings that the files are held against.

    Attributes:
        experiment, dataset: their names, for the keys of findings.
        tokenize_length: rows of so many tokens are left out; None keeps rows of any length.
        max_rejected_share: of rows; above it tokenize fails.
        rooms: tokens that each kind of answers (`generate`, `generate.base`) leaves for its prompt.
        own_template: prompts are rendered by the tokenizer's chat template, not by `answer_prompt_type`.
        origin: the model's repository or GGUF file, under which its config.json may be recorded.
        config: the configuration, where the model is not recorded and the cross-checks had to wait for its config.json.
        rows: of the sample.
    """

    experiment: str
    dataset: str
    prompt_type: str
    answer_prompt_type: str
    handler_name: str
    map_keys: Mapping[str, Any]
    tokenize_length: int | None
    train_length: int
    max_rejected_share: float = 0.01
    rooms: Mapping[str, int] = field(default_factory=dict)
    own_template: bool = False
    origin: str = ""
    config: Config | None = None
    rows: int = 256

    def key(self, path: str) -> str:
        return f"experiments.{self.experiment}.{path}"


def inspect(model: Path, shard: Path, problems: Path, plan: Plan) -> dict[str, Any]:
    """`{"findings": [Finding], "sample": {...}, "decontamination": {...}}`.

    Raises:
        Problem: a file that cannot be read at all.
    """
    found = [
        *_config(model, plan),
        *_late(model, plan),
        *_template(model, plan),
        *_prompts(model, problems, plan),
    ]
    taken, more = sample.take(model, shard, plan)
    common = overlap.contamination(shard, problems)
    found += [*more, *sample.findings(taken, plan), *_decontamination(common, plan)]
    found = [replace(one, experiments=(plan.experiment,)) for one in found]
    return {"findings": found, "sample": taken, "decontamination": common}


def _config(model: Path, plan: Plan) -> Iterator[Finding]:
    wrong = known_models.mismatches(plan.origin, files.read_json(model / "config.json"))
    if wrong:
        yield Finding(
            "recorded-config",
            (plan.key("model"),),
            "; ".join(wrong),
            "the config.json that this plan was made with",
            "correct planning/architectures.json if the model changed, or the model's revision",
        )
    hub = tokenizer.load(model)
    wrong = known_models.tokenizer_mismatches(plan.origin, {**hub.tokens, "length": hub.size()}, hub.id_of)
    if wrong:
        yield Finding(
            "recorded-tokenizer",
            (plan.key("model"),),
            "; ".join(wrong),
            "the tokenizer that this plan was made with",
            "correct planning/architectures.json if the model changed, or the model's revision",
        )


def _late(model: Path, plan: Plan) -> list[Finding]:
    """The cross-checks again, with a config.json that was not known before; only what they find anew."""
    if plan.config is None:
        return []
    before = gather(plan.config, plan.experiment)
    early = set(checks.of(before))
    return [one for one in checks.of(replace(before, known=known_models.read(model))) if one not in early]


def _prompts(model: Path, problems: Path, plan: Plan) -> Iterator[Finding]:
    """Each problem, rendered, leaves the room that its answer may take."""
    if plan.own_template:
        voice = prompter.by_chat_template(model, None)
    else:
        voice = prompter.by_prompt_type(model, plan.answer_prompt_type, None)
    lengths = {one.id: len(voice.ids(one.messages)) for one in prompts.read(problems)}
    longest = max(lengths, key=lambda name: lengths[name])
    for path, room in plan.rooms.items():
        over = sum(length > room for length in lengths.values())
        if over:
            yield Finding(
                "prompt-length",
                (plan.key("problems"), plan.key(f"{path}.max_new_tokens")),
                f"{over} of {len(lengths)} prompts, the longest ({longest}) of {lengths[longest]} tokens",
                f"at most {room} beside the answer",
                f"lower max_new_tokens by {lengths[longest] - room}, give a longer seq_length, or leave those problems out",
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
        # asked for, it would render prompts that training never saw
        severity = "error" if plan.own_template else "warning"
        texts = [
            trained.tokenizer.backend.decode(ids, skip_special_tokens=False)
            for ids in (trained.prompt(PROBE), own)
        ]
        yield Finding("chat-template", (plan.key("prompt_type"), plan.key("model")), f"prompts like {texts[0]!r}",
                      f"{texts[1]!r}, as the model's own chat template", "choose that prompt type, or accept this",
                      severity)  # fmt: skip


def _decontamination(overlap: Mapping[str, Any], plan: Plan) -> Iterator[Finding]:
    if overlap["contained"]:
        yield Finding("contamination", (plan.key("problems"), plan.key("dataset")),
                      f"{overlap['contained']} of {overlap['problems']} problems occur in the training shard",
                      "none", "leave those rows or those problems out", "warning")  # fmt: skip
