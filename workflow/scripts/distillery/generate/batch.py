"""Answer a prompt file: check lengths, generate, and write one JSON line an answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files
from distillery.generate import signals
from distillery.generate.journal import Journal
from distillery.generate.prompter import Prompter
from distillery.generate.prompts import Prompt
from distillery.generate.tasks import Task, seed_of
from distillery.problems import Interrupted, Problem
from distillery.provenance import digest
from distillery.terminal_text import drawn

if TYPE_CHECKING:
    from distillery.engine.generation import Answer, Runner

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


@dataclass(frozen=True)
class Asked:
    """One line of the output to be: a prompt, rendered, and the number of its sample."""

    prompt: Prompt
    ids: tuple[int, ...]
    sample: int
    seed: int


def ask(prompts: Sequence[Prompt], prompter: Prompter, task: Task, seed: int, limits: Limits) -> list[Asked]:
    """Render all prompts; several samples of one are neighbours.

    Raises:
        Problem: a prompt and its answer do not fit into the context, or a prompt has a token that the model lacks.
    """
    asked = []
    for prompt in prompts:
        ids = tuple(prompter.ids(prompt.messages))
        check_ids(ids, prompter, limits.vocab_size, prompt.id)
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
    target: Path,
    identity: Any,
    log_interval: int,
) -> dict[str, Any]:
    """Generate what `target` lacks and write it; return the timings, also written beside it.

    Args:
        slots: sequences computed together; the answers do not depend on it.
        build: makes the runner of (slots, longest sequence); not called if nothing is left to do.
        identity: all that decides the answers, besides the prompts; resuming needs an equal one.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGUSR1 came; the next run continues.
        Problem: another run writes `target`; the model's scores are no numbers.
    """
    from distillery.engine.generation import Request, Stopping, generate

    stopping = Stopping(limits.max_new_tokens, prompter.stop_ids, limits.stop_words, prompter.text)
    all_of_it = digest([identity, [(each.prompt.id, each.ids, each.seed) for each in asked]])
    with Journal(target, all_of_it) as journal:
        missing = [i for i, each in enumerate(asked) if (each.prompt.id, each.sample) not in journal.taken]
        requests = [Request(i, asked[i].ids, asked[i].seed, asked[i].prompt.id) for i in missing]
        watch = Watch(len(asked), len(asked) - len(missing), log_interval)
        if requests:
            width = task.width
            count = min(slots, len(requests)) * width
            longest = max(len(request.prompt) for request in requests) + limits.max_new_tokens
            runner = build(count, longest)
            watch.ready()
            try:
                begin = task.begin(stopping)
                for one in generate(runner, requests, begin, lambda: check_signals(journal.path)):
                    journal.add(record(asked[one.request.index], one, prompter, stopping.trim))
                    watch.saw(one)
            finally:
                watch.close()
        # a beam search may find fewer answers than asked for, never none
        samples = [
            (each.prompt.id, each.sample + rank) for each in asked for rank in range(task.answers_per_request)
        ]
        journal.finish(sample for sample in samples if sample in journal.taken)
    timings = watch.timings()
    files.write_json(target.with_name(f"{target.stem}.timings.json"), timings)
    return timings


def record(asked: Asked, one: Answer, prompter: Prompter, trim: Callable[[str], str]) -> dict[str, Any]:
    return {
        "id": asked.prompt.id,
        "sample": asked.sample + one.rank,
        "prompt": asked.prompt.text,
        "text": trim(prompter.answer(one.tokens)),
        "tokens": list(one.tokens),
        "stop": one.stop,
        "seed": asked.seed,
        "rendered_prompt": prompter.rendered(asked.ids),
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


class Watch:
    """Progress on standard error (a bar on a terminal, else a line now and then), and the run's times in seconds."""

    def __init__(self, total: int, done: int, log_interval: int):
        self.total, self.done, self.log_interval = total, done, log_interval
        self.resumed, self.tokens = done, 0
        self.start = self.begun = time.perf_counter()
        self.bar = None
        if done:
            print(f"continuing after {done} of {total} answers", file=sys.stderr, flush=True)

    def ready(self) -> None:
        """The runner is built; what follows is generation."""
        self.begun = time.perf_counter()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
            )
            self.bar = Progress(*columns, console=Console(file=drawn(sys.stderr)))
            self.bar.add_task("", total=self.total, completed=self.done)
            self.bar.start()

    def saw(self, one: Answer) -> None:
        self.done += one.rank == 0
        self.tokens += len(one.tokens)
        rate = f"{self.tokens / (time.perf_counter() - self.begun):.0f} tokens/s"
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=self.done, description=rate)
        elif one.rank == 0 and (self.done % self.log_interval == 0 or self.done == self.total):
            print(f"{self.done}/{self.total} answers, {rate}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()

    def timings(self) -> dict[str, Any]:
        now = time.perf_counter()
        return {
            "answers": self.total,
            "resumed": self.resumed,
            "tokens": self.tokens,
            "load_seconds": round(self.begun - self.start, 3),
            "generate_seconds": round(now - self.begun, 3),
            "cpu_seconds": round(time.process_time(), 3),
        }
