"""What the fetched files say of a plan: the checks that config.json, tokenizer, rows and problems are needed for.

    found = inspect(model, shard, problems, settings)
    found["findings"], found["sample"]["share_overlong"]

It reads one shard's first rows, so it is over before the long jobs are half way. Lengths are counted as
tokenize and generate will count them, by the same code.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from distillery import config, digests
from distillery.evaluate import golds, scoring
from distillery.generate import prompter, prompts
from distillery.planning import checks, fetched_settings, finding, known_models, sample
from distillery.planning.experiment_setup import gather
from distillery.planning.fetched_settings import Settings
from distillery.planning.finding import Finding, error, warning
from distillery.problems import Problem
from distillery.tokenize import hub_template, rendering, similarity, tokenizer
from distillery.tokenize.rendering import Renderer
from distillery.tokenize.tokenizer import HubTokenizer

PROBE = [{"role": "user", "content": "What is 2+2?"}]


@dataclass(frozen=True)
class Model:
    """A fetched model's files, each read once.

    Attributes:
        config: its config.json.
        hub: its tokenizer as it came.
        trained, asked: the templates of training data and of prompts, each with a tokenizer of its own: it adds tokens.
    """

    directory: Path
    config: Mapping[str, Any]
    hub: HubTokenizer
    trained: Renderer
    asked: Renderer


def load(directory: Path, settings: Settings) -> Model:
    """The files of a Hugging Face directory.

    Raises:
        Problem: one that cannot be read.
    """
    trained = rendering.load(directory, settings.prompt_type)
    same = settings.answer_prompt_type == settings.prompt_type
    asked = trained if same else rendering.load(directory, settings.answer_prompt_type)
    return Model(
        directory, digests.read_json(directory / "config.json"), tokenizer.load(directory), trained, asked
    )


def run(args: argparse.Namespace) -> list[Finding]:
    """Write what plan_sources.py's flags ask for; returns the findings.

    Raises:
        Problem: errors among the findings; nothing is written.
    """
    settings = fetched_settings.parse(args.settings_json)
    found = inspect(args.model_dir, args.shard, args.problems, settings)
    errors = sum(one.severity == "error" for one in found["findings"])
    if errors:
        raise Problem(
            f"the files contradict the plan in {errors} ways",
            where=settings.experiment,
            found="\n".join(map(str, found["findings"])),
        )
    digests.write_json(args.output, {**found, "findings": [asdict(one) for one in found["findings"]]})
    return found["findings"]


def inspect(directory: Path, shard: Path, problems: Sequence[Path], settings: Settings) -> dict[str, Any]:
    """`{"findings": [Finding], "sample": {...}, "decontamination": {...}}`, errors first.

    Args:
        directory: of the model.
        problems: files of problem sets, named after them.

    Raises:
        Problem: a file that cannot be read at all.
    """
    model = load(directory, settings)
    digests.check_file(shard)
    taken, faults = sample.take(model.trained, shard, settings)
    common = {path: similarity.contamination(shard, path, settings.hold_out) for path in problems}
    found = [
        *_recorded(model, settings),
        *_late(model, settings),
        *_template(model, settings),
        *(one for path in problems for one in _prompts(model, path, settings)),
        *(one for path in problems for one in _golds(path, settings)),
        *faults,
        *sample.findings(taken, settings),
        *(one for path in problems for one in _contamination(path.stem, common[path], settings)),
    ]
    named = [replace(one, experiments=(settings.experiment,)) for one in found]
    return {
        "findings": finding.sort(finding.accept(named, settings.accept)),
        "sample": taken,
        "decontamination": {
            key: sum(one[key] for one in common.values()) for key in ("problems", "contained")
        },
    }


def _recorded(model: Model, settings: Settings) -> Iterator[Finding]:
    """What the plan was made with is what came."""
    found = {**model.hub.tokens, "length": model.hub.size()}
    for id, what, wrong in (
        ("recorded-config", "config.json", known_models.mismatches(settings.origin, model.config)),
        (
            "recorded-tokenizer",
            "tokenizer",
            known_models.tokenizer_mismatches(settings.origin, found, model.hub.id_of),
        ),
    ):
        if wrong:
            expected = f"the {what} that this plan was made with"
            cure = "correct planning/architectures.json if the model changed, or the model's revision"
            yield error(id, [settings.key("model")], "; ".join(wrong), expected, cure)


def _late(model: Model, settings: Settings) -> list[Finding]:
    """The cross-checks again, with a config.json that was not known before; only what they find anew."""
    if settings.config is None:
        return []
    before = gather(config.load(settings.config), settings.experiment)
    early = set(checks.of(before))
    after = replace(before, known=known_models.read(model.directory))
    return [one for one in checks.of(after) if one not in early]


def _prompts(model: Model, problems: Path, settings: Settings) -> Iterator[Finding]:
    """Each problem, rendered, leaves the room that its answer may take."""
    render = model.asked.prompt
    if settings.own_template:
        render = prompter.by_chat_template(model.hub, None).ids
    lengths = {one.id: len(render(one.messages)) for one in prompts.read(problems)}
    longest = max(lengths, key=lambda name: lengths[name])
    for path, room in settings.prompt_room.get(problems.stem, {}).items():
        over = sum(length > room for length in lengths.values())
        if over:
            yield error(
                "prompt-length",
                [settings.key("problems"), settings.key(f"{path}.max_new_tokens")],
                f"{over} of {len(lengths)} prompts, the longest ({longest}) of {lengths[longest]} tokens",
                f"at most {room} beside the answer",
                f"lower max_new_tokens by {lengths[longest] - room}, give a longer seq_length, or leave those problems out",
            )


def _golds(problems: Path, settings: Settings) -> Iterator[Finding]:
    """Each gold answer can be read: found out here, not when the model has been trained and has answered."""
    unreadable = golds.unreadable(row["answer"] for row in scoring.read_problems(problems))
    if unreadable:
        shown = [f"{problems.name}, row {row}, column answer: {why}" for row, why in unreadable.items()]
        yield error(
            "golds",
            [settings.key("problems")],
            f"{len(shown)} gold answers cannot be read: {'; '.join(shown[:5])}",
            "an answer in each row",
            "mend those rows in the set's source, or leave them out of it: unscorable: leave_out",
        )


def _template(model: Model, settings: Settings) -> Iterator[Finding]:
    """Template and tokenizer belong together, and one end token ends answers in training and in generation."""
    trained, asked = model.trained, model.asked
    keys = settings.key("prompt_type"), settings.key("model")
    family = "choose the prompt type of the model's family"
    if split := trained.split_markers():
        yield error("markers", keys, f"{' '.join(split)} are several tokens", "one token each", family)
    if new := trained.tokenizer.new_tokens:
        found = f"{' '.join(new)} are not in the vocabulary"
        yield error("new-tokens", keys, found, "tokens that the model has", family)
    if trained.eos_id not in asked.stop_token_ids:
        yield error(
            "stop-ids",
            [settings.key("tokenize.prompt_type"), settings.key("generate.prompt_type")],
            f"training ends answers with {trained.eos_id}, generation stops at {asked.stop_token_ids}",
            "one end token",
            "write prompt_type once",
        )
    size, rows = trained.tokenizer.size(), model.config["vocab_size"]
    if size > rows:
        cure = "correct config.json, or choose a template without new tokens"
        yield error("vocabulary", keys[1:], f"{size} tokens for vocab_size {rows}", "at most as many", cure)
    try:
        own = hub_template.HubRenderer(model.hub).prompt(PROBE)
    except Problem:
        return  # the tokenizer brings no chat template to compare with
    if own != trained.prompt(PROBE):
        shown, wanted = (
            repr(trained.tokenizer.backend.decode(ids, skip_special_tokens=False))
            for ids in (trained.prompt(PROBE), own)
        )
        # asked for, it would render prompts that training never saw
        yield (error if settings.own_template else warning)(
            "chat-template",
            keys,
            f"prompts like {shown}",
            f"{wanted}, as the model's own chat template",
            "choose that prompt type, or accept this",
        )


def _contamination(problems: str, common: Mapping[str, int], settings: Settings) -> Iterator[Finding]:
    if common["contained"]:
        keys = settings.key("problems"), settings.key("dataset")
        found = f"{common['contained']} of {common['problems']} problems of {problems} occur in the training shard"
        yield warning("contamination", keys, found, "none", "leave those rows or those problems out")
