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
from distillery.problems import Problem, first_line
from distillery.tokenize import hub_template, rendering, similarity, tokenizer
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.rendering import Renderer
from distillery.tokenize.tokenizer import HubTokenizer

PROBE = [{"role": "user", "content": "What is 2+2?"}]


@dataclass(frozen=True)
class Fetched:
    """What an experiment fetched, each file read once: the subject of these checks.

    Attributes:
        directory: of the model.
        config: its config.json.
        hub: its tokenizer as it came.
        trained, asked: the templates of training data and of prompts, each with a tokenizer of its own: it adds tokens.
        problems: files of problem sets, named after them.
        sample, faults: of the shard's first rows: their statistics, and what makes them impossible.
        contained: of each file of problems, how many there are and how many the shard contains.
    """

    settings: Settings
    directory: Path
    config: Mapping[str, Any]
    hub: HubTokenizer
    trained: Renderer
    asked: Renderer
    problems: Sequence[Path]
    sample: Mapping[str, Any]
    faults: Sequence[Finding]
    contained: Mapping[Path, Mapping[str, int]]


def read(directory: Path, shard: Path, problems: Sequence[Path], settings: Settings) -> Fetched:
    """The model of a Hugging Face directory, a shard's first rows, and what the shard has in common with problems.

    Raises:
        Problem: one that cannot be read.
    """
    trained = rendering.load(directory, settings.prompt_type)
    same = settings.answer_prompt_type == settings.prompt_type
    asked = trained if same else rendering.load(directory, settings.answer_prompt_type)
    known, hub = digests.read_json(directory / "config.json"), tokenizer.load(directory)
    digests.check_file(shard)
    taken, faults = sample.take(trained, shard, settings)
    contained = {path: similarity.contamination(shard, path, settings.hold_out) for path in problems}
    return Fetched(settings, directory, known, hub, trained, asked, problems, taken, faults, contained)


def run(args: argparse.Namespace) -> list[Finding]:
    """Write what plan_sources.py's flags ask for; returns the findings.

    Raises:
        Problem: errors among the findings; nothing is written.
    """
    asked = fetched_settings.of_each(args.settings_json, args.shard)
    each = [inspect(args.model_dir, shard, args.problems, one) for shard, one in asked]
    # of a mix the first dataset's sample, and what is found in any
    settings, found = asked[0][1], each[0]
    found["findings"] = list(dict.fromkeys(one for of in each for one in of["findings"]))
    found["decontamination"]["contained"] = sum(of["decontamination"]["contained"] for of in each)
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
    files = read(directory, shard, problems, settings)
    found = (one for check in CHECKS for one in check(files))
    return {
        "findings": finding.collect([(settings.experiment, settings.accept, found)]),
        "sample": files.sample,
        "decontamination": {
            key: sum(one[key] for one in files.contained.values()) for key in ("problems", "contained")
        },
    }


def recorded(f: Fetched) -> Iterator[Finding]:
    """What the plan was made with is what came."""
    origin, tokens = f.settings.origin, {**f.hub.tokens, "length": f.hub.size()}
    for id, what, wrong in (
        ("recorded-config", "config.json", known_models.mismatches(origin, f.config)),
        ("recorded-tokenizer", "tokenizer", known_models.tokenizer_mismatches(origin, tokens, f.hub.id_of)),
    ):
        if wrong:
            expected = f"the {what} that this plan was made with"
            cure = "correct planning/architectures.json if the model changed, or the model's revision"
            yield error(id, [f.settings.key("model")], "; ".join(wrong), expected, cure)


def late(f: Fetched) -> Iterator[Finding]:
    """The cross-checks again, with a config.json that was not known before; only what they find anew."""
    if f.settings.config is None:
        return
    before = gather(config.load(f.settings.config), f.settings.experiment)
    early = set(checks.of(before))
    after = replace(before, known=known_models.read(f.directory))
    yield from (one for one in checks.of(after) if one not in early)


def prompt_length(f: Fetched) -> Iterator[Finding]:
    """Each problem, rendered, leaves the room that its answer may take."""
    key = f.settings.key
    render = prompter.by_chat_template(f.hub, None).ids if f.settings.own_template else f.asked.prompt
    for problems in f.problems:
        lengths = {one.id: len(render(one.messages)) for one in prompts.read(problems)}
        longest = max(lengths, key=lambda name: lengths[name])
        for path, room in f.settings.prompt_room.get(problems.stem, {}).items():
            over = sum(length > room for length in lengths.values())
            if over:
                yield error(
                    "prompt-length",
                    [key("problems"), key(f"{path}.max_new_tokens")],
                    f"{over} of {len(lengths)} prompts, the longest ({longest}) of {lengths[longest]} tokens",
                    f"at most {room} beside the answer",
                    f"lower max_new_tokens by {lengths[longest] - room}, give a longer seq_length, or leave those problems out",
                )


def readable_golds(f: Fetched) -> Iterator[Finding]:
    """Each gold answer can be read: found out here, not when the model has been trained and has answered."""
    for problems in f.problems:
        unreadable = golds.unreadable(row["answer"] for row in scoring.read_problems(problems))
        if unreadable:
            shown = [f"{problems.name}, row {row}, column answer: {why}" for row, why in unreadable.items()]
            yield error(
                "golds",
                [f.settings.key("problems")],
                f"{len(shown)} gold answers cannot be read: {'; '.join(shown[:5])}",
                "an answer in each row",
                "mend those rows in the set's source, or leave them out of it: unscorable: leave_out",
            )


def template(f: Fetched) -> Iterator[Finding]:
    """Template and tokenizer belong together, and one end token ends answers in training and in generation."""
    trained, asked, settings = f.trained, f.asked, f.settings
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
    size, rows = trained.tokenizer.size(), f.config["vocab_size"]
    if size > rows:
        cure = "correct config.json, or choose a template without new tokens"
        yield error("vocabulary", keys[1:], f"{size} tokens for vocab_size {rows}", "at most as many", cure)
    serious = error if settings.own_template else warning
    if not (settings.own_template or hub_template.is_brought(f.hub)):
        return  # nothing to compare with
    try:
        own = hub_template.HubRenderer(f.hub).prompt(PROBE)
    except (Problem, Rejected) as cause:
        found = getattr(cause, "found", None) or getattr(cause, "detail", None) or cause
        yield serious(
            "own-template",
            keys,
            f"{str(cause).splitlines()[0]}: {first_line(found)}",
            "a chat template that renders a question",
            "answer by a prompt type"
            if settings.own_template
            else "nothing here uses it; others may: accept this",
        )
        return
    if own != trained.prompt(PROBE):
        shown, wanted = (
            repr(trained.tokenizer.backend.decode(ids, skip_special_tokens=False))
            for ids in (trained.prompt(PROBE), own)
        )
        # asked for, it would render prompts that training never saw
        yield serious(
            "chat-template",
            keys,
            f"prompts like {shown}",
            f"{wanted}, as the model's own chat template",
            "choose that prompt type, or accept this",
        )


def first_rows(f: Fetched) -> Iterator[Finding]:
    """The shard's first rows become rows that training learns from."""
    yield from f.faults
    yield from sample.findings(f.sample, f.settings)


def contamination(f: Fetched) -> Iterator[Finding]:
    """No problem that answers are scored on is one that training sees."""
    keys = f.settings.key("problems"), f.settings.key("dataset")
    for problems, common in f.contained.items():
        if common["contained"] and not f.settings.decontaminated:
            found = f"{common['contained']} of {common['problems']} problems of {problems.stem} occur in the training shard"
            cure = "leave those rows out (select.overlap_words), or those problems"
            yield warning("contamination", keys, found, "none", cure)


CHECKS = (recorded, late, template, prompt_length, readable_golds, first_rows, contamination)
