"""Answer a prompt file: check lengths, generate, and write one JSON line an answer."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files
from distillery.generate import signals
from distillery.generate.generate_progress import Watch
from distillery.generate.journal import Journal
from distillery.generate.prompter import Prompter
from distillery.generate.prompts import Prompt
from distillery.generate.tasks import Task, seed_of
from distillery.problems import Interrupted, Problem
from distillery.provenance import canonical

if TYPE_CHECKING:
    from distillery.engine.generation import Runner

SHOWN = 5  # prompts that an error names


@dataclass(frozen=True)
class Limits:
    """What bounds prompts and answers.

    Args:
        context: tokens of the longest sequence, prompt and answer together.
        model_context: what the model allows for it.
        max_new_tokens: of one answer.
        vocab_size: rows of the model's embedding.
        stop_words: texts that end an answer.
    """

    context: int
    model_context: int
    max_new_tokens: int
    vocab_size: int
    stop_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One line of the output to be: a prompt, rendered, and the number of its sample."""

    prompt: Prompt
    ids: array[int]  # four bytes each: of a hundred thousand prompts they are most of the memory
    sample: int
    seed: int


def ask(prompts: Sequence[Prompt], prompter: Prompter, task: Task, seed: int, limits: Limits) -> list[Asked]:
    """Render all prompts; several samples of one are neighbours.

    Raises:
        Problem: a prompt and its answer do not fit into the context, or a prompt has a token that the model lacks.
    """
    asked = []
    for prompt in prompts:
        found = prompter.ids(prompt.messages)
        check_ids(found, prompter, limits.vocab_size, prompt.id)
        ids = array("I", found)
        for sample in range(task.requests_per_prompt):
            own = prompt.seed if prompt.seed is not None else seed
            asked.append(Asked(prompt, ids, sample, seed_of(own, prompt.id, sample)))
    _check_lengths({each.prompt.id: len(each.ids) for each in asked}, limits)
    return asked


def check_ids(ids: Sequence[int], prompter: Prompter, vocab_size: int, name: str) -> None:
    """Hold a prompt's ids against the rows of the embedding: one without a row would be read as nothing at all.

    Raises:
        Problem: naming the prompt, the place of the token in it, and the token.
    """
    for position, token in enumerate(ids):
        if not 0 <= token < vocab_size:
            raise Problem(
                "a token of the prompt has no row in the model's embedding",
                where=f"prompt {name}, token {position}",
                found=f"id {token} ({prompter.text([token])!r})",
                wanted=f"0 to {vocab_size - 1}, vocab_size of config.json",
                fix="give --tokenizer-name-or-path the tokenizer that the weights were trained with, or a prompt type "
                "without new tokens",
            )


def unrendered(prompts: Sequence[Prompt], task: Task, seed: int) -> list[Asked]:
    """Prompts that are asked as messages, of a model whose template and tokenizer only its server has."""
    return [
        Asked(
            prompt,
            array("I"),
            sample,
            seed_of(seed if prompt.seed is None else prompt.seed, prompt.id, sample),
        )
        for prompt in prompts
        for sample in range(task.requests_per_prompt)
    ]


def _check_lengths(lengths: dict[str, int], limits: Limits) -> None:
    """Raise a Problem where prompts, of these lengths in tokens by id, leave no room for an answer."""
    over = {name: size for name, size in lengths.items() if size + limits.max_new_tokens > limits.context}
    if not over:
        return
    worst = max(over.values())
    named = [f"{name} ({size} tokens)" for name, size in list(over.items())[:SHOWN]]
    if len(over) > SHOWN:
        named.append("...")
    total, possible = worst + limits.max_new_tokens, limits.model_context
    cures = [f"--seq-length {total}"] if total <= possible else []
    if worst < possible:
        shorter = limits.context - worst if worst < limits.context else possible - worst
        raised = f" with --seq-length {possible}" if worst >= limits.context else ""
        cures.append(f"--max-new-tokens {shorter}{raised}")
    cures.append("take these prompts out of the file")
    raise Problem(
        f"{len(over)} of {len(lengths)} prompts leave no room for their answers",
        where=f"--seq-length, --max-new-tokens; {', '.join(named)}",
        found=f"the longest: {worst} prompt tokens + {limits.max_new_tokens} new = {total}",
        wanted=f"at most {limits.context} (--seq-length is the whole sequence, not the input alone)",
        fix=f"{', or '.join(cures)}; the model's context is {possible} tokens",
    )


def answer(
    asked: Sequence[Asked],
    prompter: Prompter,
    task: Task,
    limits: Limits,
    *,
    slots: int,
    build: Callable[[int, int], Runner],
    journal: Journal,
    replicas: int,
    log_interval: int,
    weights: str | None = None,
) -> dict[str, Any]:
    """Generate what the journal lacks of this copy's share; the first copy waits for the others and writes the answers.

    Args:
        slots: sequences computed together; the answers do not depend on it.
        build: makes the runner of (slots, longest sequence); not called if nothing is left to do.
        journal: of this copy of the model.
        replicas: copies that answer side by side, each every so many-th of `asked`.
        weights: how they were rounded, which each record says; None of those that lost nothing.

    Returns:
        The timings, which the first copy also writes beside the answers.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGUSR1 came; the next run continues.
        Problem: the model's scores are no numbers.
    """
    from distillery.engine.generation import Request, Stopping, generate

    stopping = Stopping(limits.max_new_tokens, prompter.stop_ids, limits.stop_words, prompter.text)
    missing = [i for i, each in enumerate(asked) if (each.prompt.id, each.sample) not in journal.taken]
    mine = range(journal.replica, len(asked), replicas)
    # its own share's: the first copy's journal grows while the others read it
    requests = [
        Request(i, tuple(asked[i].ids), asked[i].seed, asked[i].prompt.id) for i in missing if i in mine
    ]
    watch = Watch(len(mine), len(mine) - len(requests), log_interval, shown=not journal.replica)

    def check() -> None:
        check_signals(journal.path)

    if requests:
        count = min(slots, len(requests)) * task.width
        longest = max(len(request.prompt) for request in requests) + limits.max_new_tokens
        runner = build(count, longest)
        watch.ready()
        for one in generate(runner, requests, task.begin(stopping), check):
            text = stopping.trim(prompter.answer(one.tokens))
            found = {"text": text, "tokens": one.tokens, "stop": one.stop, "rank": one.rank}
            lossy = {"weights": weights} if weights else {}
            journal.add(record(asked[one.request.index], prompter, **found) | lossy)
            watch.saw(one.rank, len(one.tokens))
    if journal.replica:
        journal.end()
        return watch.timings()
    watch.tokens += sum(len(each["tokens"]) for each in journal.join(replicas, check))
    watch.total, watch.resumed = len(asked), len(asked) - len(missing)
    # a beam search may find fewer answers than asked for, never none
    samples = [
        (each.prompt.id, each.sample + rank) for each in asked for rank in range(task.answers_per_request)
    ]
    journal.finish(sample for sample in samples if sample in journal.taken)
    timings, target = watch.timings(), journal.target
    files.write_json(target.with_name(f"{target.stem}.timings.json"), timings)
    return timings


def identity(deciding: Any, asked: Sequence[Asked]) -> str:
    """The digest of all that decides the answers; resuming needs an equal one.

    Args:
        deciding: all of it besides the prompts.
    """
    found = hashlib.sha256(canonical(deciding).encode())
    for each in asked:  # one by one: there may be a hundred thousand
        found.update(canonical([each.prompt.id, list(each.ids), each.seed]).encode())
    return found.hexdigest()


def record(
    asked: Asked, prompter: Prompter | None, *, text: str, tokens: Sequence[int], stop: str, rank: int = 0
) -> dict[str, Any]:
    """A line of the answers' file.

    Args:
        prompter: None where only the server knows how the prompt was rendered.
        tokens: the answer's, with its stop id.
        stop: "eos", "length" or "stop_word".
        rank: among the answers that one search returns.
    """
    return {
        "id": asked.prompt.id,
        "sample": asked.sample + rank,
        "prompt": asked.prompt.text,
        "text": text,
        "tokens": list(tokens),
        "stop": stop,
        "seed": asked.seed,
        "rendered_prompt": prompter.rendered(asked.ids) if prompter else "",
    }


def check_signals(journal: Path) -> None:
    """End the run where a signal asks for it; the journal keeps what is answered.

    Raises:
        Interrupted: one of `signals.STOPS` has come.
    """
    found = signals.arrived(*signals.STOPS)
    if found:
        raise Interrupted(
            f"stopped by {found.name}; finished answers are kept",
            where=journal,
            fix="run the same command again to continue",
        )
