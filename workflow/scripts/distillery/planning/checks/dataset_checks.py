"""Templates, tokenization and shards: what the model learns to read, and when it learns to stop."""

from __future__ import annotations

import re
from collections.abc import Iterator

from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning
from distillery.problems import Problem
from distillery.tokenize import handlers, templates
from distillery.tokenize.templates import Mark, Template

MARKER = re.compile(r"<[|｜][^<>]*?[|｜]>")
OF = re.compile(r"-of-0*(\d+)\b")


def _uses(s: Setup) -> list[tuple[str, str]]:
    """(key, prompt type) of the stages that render text."""
    e = s.experiment
    return [
        (s.stage_key("tokenize", "prompt_type"), e.tokenize.prompt_type),
        (s.stage_key("train", "prompt_type"), e.train.prompt_type),
        (s.stage_key("generate", "prompt_type"), e.generate.prompt_type),
    ]


def prompt_type(s: Setup) -> Iterator[Finding]:
    """One template renders training data and prompts."""
    (source, made), *others = _uses(s)
    for key, used in others:
        if used != made:
            yield error(
                "prompt-type",
                [source, key],
                f"data made with {made}, then {used}",
                "one prompt type",
                "write prompt_type once, under the experiment",
            )


def prompt_type_name(s: Setup) -> Iterator[Finding]:
    """The prompt type exists."""
    for key, name in dict.fromkeys(_uses(s)):
        if templates.find(name) is None:
            yield error(
                "prompt-type-name",
                [key],
                name,
                "one of " + ", ".join(sorted(templates.names())),
                "choose one",
            )


def _markers(style: Template) -> list[str]:
    slots = (*style.prefix, *style.system, *style.user, *style.assistant, *style.separator)
    texts = [slot for slot in slots if isinstance(slot, str)]
    tokens = [slot.token for slot in slots if isinstance(slot, Mark) and slot.token]
    return list(dict.fromkeys([*(marker for text in texts for marker in MARKER.findall(text)), *tokens]))


def markers(s: Setup) -> Iterator[Finding]:
    """Each marker of a template is one token of the model; else it is text in pieces, and bos is nothing."""
    if s.tokenizer is None:
        return
    for key, name in dict.fromkeys(_uses(s)):
        style = templates.find(name)
        if style is None:
            continue
        split = [marker for marker in _markers(style) if marker not in s.tokenizer.tokens]
        bos = Mark(special="bos") in (*style.prefix, *style.user) and s.tokenizer.bos is None
        if split:
            vanishing = ", and its bos, which this tokenizer lacks, vanishes" if bos else ""
            yield error(
                "template-markers",
                [key, s.model_key],
                f"{name}'s {' '.join(split)} fall into several ordinary tokens{vanishing}",
                f"markers that {s.known.name} has as single tokens",
                "choose the prompt type of the model's family",
            )


def stop(s: Setup) -> Iterator[Finding]:
    """Answers stop at the token that training taught to end with."""
    if s.tokenizer is None:
        return
    (made_key, made), _, (key, asked) = _uses(s)
    trained, answering = templates.find(made), templates.find(asked)
    if trained is None or answering is None:
        return
    end, stops = trained.trained_end(s.tokenizer.eos), answering.stop_tokens(s.tokenizer.eos)
    # the built-in engine keeps to the stop ids that training recorded, and refuses a template that renders otherwise
    if s.generate["hf_chat_template"] and s.experiment.generate.engine == "mindspeed-llm":
        key, asked, stops = s.key("generate.hf_chat_template"), "MindSpeed-LLM with it", [s.tokenizer.eos]
    if end is None:
        yield warning(
            "no-end-token",
            [made_key],
            f"{made} ends answers with no token",
            "an end that generation can stop at",
            "choose a prompt type with an end token",
        )
    elif end not in stops:
        yield error(
            "stop-token",
            [made_key, key],
            f"{made} trains {_named(end, s)}, {asked} stops at {', '.join(_named(one, s) for one in stops)}",
            "one end token: the tuned model would never stop",
            "write prompt_type once, under the experiment, and no other template",
        )


def _named(token: str, s: Setup) -> str:
    number = s.tokenizer.tokens.get(token)
    return token if number is None else f"{token} ({number})"


def system_prompt(s: Setup) -> Iterator[Finding]:
    """The template's default system prompt is the one the model was taught with."""
    style = templates.find(s.experiment.tokenize.prompt_type)
    if s.tokenizer is None or style is None or s.tokenizer.system is None or not style.default_system:
        return
    if style.default_system != s.tokenizer.system and s.tokenizer.system:
        yield warning(
            "system-prompt",
            [s.stage_key("tokenize", "prompt_type"), s.model_key],
            f"{style.name} says {style.default_system!r}",
            f"{s.tokenizer.system!r}, as the chat template of {s.known.name} does",
            "choose a prompt type with that system prompt, or accept this",
        )


def map_keys(s: Setup) -> Iterator[Finding]:
    """Columns and tags are ones that the handler knows."""
    rows, keys = s.dataset, [f"{s.dataset_key}.map_keys", f"{s.dataset_key}.handler_name"]
    if rows.is_auto:
        if rows.map_keys:
            wanted = "no map_keys: auto finds columns by itself"
            cure = "leave it out, or name a handler that has it"
            yield error("map-keys", keys, ", ".join(rows.map_keys), wanted, cure)
        return
    try:
        handlers.mapped(rows.handler_name, rows.map_keys)
    except Problem as problem:
        yield error(
            "map-keys",
            keys,
            f"{problem.what} ({problem.found})",
            str(problem.wanted),
            problem.fix or "correct the mapping",
        )


def packing(s: Setup) -> Iterator[Finding]:
    """Packed rows neither see one another nor lose their questions."""
    made, key, neat = s.experiment.tokenize, s.key("tokenize.pack"), s.key("tokenize.neat_pack")
    if made.neat_pack and not made.pack:
        yield error("neat-pack", [neat, key], "neat_pack without pack", "both", "set pack: true")
    if not made.pack:
        return
    if made.seq_length is None:
        keys, cure = (
            [key, s.key("tokenize.seq_length")],
            "leave tokenize.seq_length out: it is the experiment's",
        )
        yield error("pack-length", keys, "pack with no length", "a length to fill", cure)
    if s.train.get("variable_seq_lengths"):
        keys, cure = [key, s.key("train.variable_seq_lengths")], "leave variable_seq_lengths out"
        yield error("pack-variable", keys, "packed rows of variable length", "one of them", cure)
    if s.train.get("reset_position_ids") is False:
        keys, cure = [key, s.key("train.reset_position_ids")], "leave reset_position_ids out"
        found, expected = "positions that run on from row to row", "positions that start anew with each row"
        yield error("pack-positions", keys, found, expected, cure)
    style = templates.find(made.prompt_type)
    if not made.neat_pack and style and s.tokenizer:
        end = style.trained_end(s.tokenizer.eos)
        texts = [slot for slot in (*style.system, *style.user) if isinstance(slot, str)]
        if end and any(end in text for text in texts):
            yield error(
                "pack-resets",
                [key, neat, s.stage_key("tokenize", "prompt_type")],
                f"positions reset at every {end}, which {style.name} puts behind the question too",
                "answers that see their question",
                "set neat_pack: true",
            )


def lengths(s: Setup) -> Iterator[Finding]:
    """Rows too long for training are left out by tokenize; training would cut off their end, the end token with it."""
    made, trained = s.experiment.tokenize.seq_length, s.experiment.train.seq_length
    keys = s.stage_key("tokenize", "seq_length"), s.stage_key("train", "seq_length")
    once = "write seq_length once, under the experiment"
    if made is None and (overlong := s.experiment.tokenize.overlong):
        keys, cure = s.keys("tokenize.overlong", "tokenize.seq_length"), "leave one of them out"
        yield error("tokenize-length", keys, f"overlong: {overlong} with no length", "a length", cure)
    elif made is None:
        yield warning(
            "tokenize-length",
            keys,
            f"rows of any length, cut in training at {trained} tokens with their end token"
            " (how many: known after tokenize)",
            f"rows below {trained} tokens",
            "leave tokenize.seq_length out: it is the experiment's",
        )
    elif made > trained:
        found = f"rows up to {made} tokens for training at {trained}"
        yield error("tokenize-length", keys, found, "one length", once)
    elif made < trained:
        found = f"rows up to {made} tokens, padded to {trained}"
        yield warning("short-rows", keys, found, "one length", once)


def shards(s: Setup) -> Iterator[Finding]:
    """A dataset of n shards is all n of them: `-of-00010` means ten."""
    match = OF.search(s.dataset.shards[0])
    total = int(match.group(1)) if match else len(s.dataset.shards)
    if s.shards < total:
        by_choice = s.experiment.tokenize.shards is not None
        yield warning(
            "some-shards",
            [s.key("tokenize.shards") if by_choice else f"{s.dataset_key}.source", s.dataset_key],
            f"{s.shards} of {total} shards" + (f", {s.rows} rows" if s.rows else ""),
            f"all {total}",
            "leave tokenize.shards out" if by_choice else "name all files",
        )


CHECKS = (
    prompt_type,
    prompt_type_name,
    markers,
    stop,
    system_prompt,
    map_keys,
    packing,
    lengths,
    shards,
)
