"""Ask a server a set of prompts, several samples each, and keep each answer in a journal as it comes.

    with Journal(target, identity) as journal:
        times = asking.answer(asked, voice, manner, sites, journal, log_interval=50)

A question that was lost is asked again with the same seed; what the journal holds is not asked at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from distillery import files
from distillery.generate import batch
from distillery.generate.batch import Asked
from distillery.generate.generate_progress import Watch
from distillery.generate.journal import Journal
from distillery.generate.prompter import Prompter
from distillery.problems import Problem
from distillery.serving import pacing
from distillery.serving.api_key import ApiKey
from distillery.serving.connection import Connection
from distillery.serving.dialects import Manner
from distillery.serving.replies import Again, Exchange, Reply

ATTEMPTS = 6  # at one question that a server fails at, though it is not busy
POLL_SECONDS = 0.1
PATIENCE = 600.0  # seconds without any answer after which a busy server counts as gone


@dataclass(frozen=True)
class Sites:
    """Where the same weights are served.

    Args:
        urls: of replicas that share the questions.
        concurrency: questions at once, at each.
        timeout: seconds that an answer may take.
        patience: seconds without any answer before the run gives up.
        check: raises a Problem when a server that we started has ended.
    """

    urls: tuple[str, ...]
    key: ApiKey
    concurrency: int
    timeout: float
    patience: float = PATIENCE
    check: Callable[[], None] = bool

    def connections(self) -> list[Connection]:
        return [Connection(url, self.key, self.timeout, self.concurrency) for url in self.urls]


def answer(
    asked: Sequence[Asked],
    voice: Prompter | None,
    manner: Manner,
    sites: Sites,
    journal: Journal,
    *,
    log_interval: int,
) -> dict[str, Any]:
    """Ask what the journal lacks, and write all answers in the order of `asked`.

    Args:
        voice: None where messages are asked of a model whose tokenizer only its server has.

    Returns:
        The timings, which are also written beside the answers, with the fewest questions at once that the server led to.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGUSR1 came; the next run continues.
        Problem: the server refuses, answers wrongly, or stays away; what was answered is kept.
    """
    missing = [one for one in asked if (one.prompt.id, one.sample) not in journal.taken]
    watch = Watch(len(asked), len(asked) - len(missing), log_interval)
    pace = pacing.Pace(sites.concurrency * len(sites.urls))
    if missing:
        watch.ready()
        asyncio.run(_ask(iter(missing), voice, manner, sites, pace, journal, watch))
    journal.finish((one.prompt.id, one.sample) for one in asked)
    timings = watch.timings() | {"least_at_once": pace.lowest}
    files.write_json(journal.target.with_name(f"{journal.target.stem}.timings.json"), timings)
    return timings


async def _ask(
    questions: Iterator[Asked],
    voice: Prompter | None,
    manner: Manner,
    sites: Sites,
    pace: pacing.Pace,
    journal: Journal,
    watch: Watch,
) -> None:
    """All questions, from as many tasks as there may be questions at once."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(one) for one in sites.connections()]

        async def work() -> None:
            for one in questions:
                reply = await _one(one, voice, manner, sites, pace, connections)
                found = record(one, reply, voice, manner)
                journal.add(found)
                watch.saw(0, len(found["tokens"]) or found.get("completion_tokens") or 0)

        tasks = {asyncio.create_task(work()) for _ in range(pace.most)}
        try:
            while tasks:
                done, tasks = await asyncio.wait(
                    tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_EXCEPTION
                )
                batch.check_signals(journal.path)
                sites.check()
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _one(
    asked: Asked,
    voice: Prompter | None,
    manner: Manner,
    sites: Sites,
    pace: pacing.Pace,
    connections: Sequence[Connection],
) -> Reply:
    """The answer to one question, asked as often as it takes."""
    what = f"prompt {asked.prompt.id}, sample {asked.sample}"
    text = "" if voice is None or manner.takes_ids or manner.endpoint == "chat" else voice.rendered(asked.ids)
    body = manner.question(asked.prompt.messages, asked.ids, text, asked.seed)
    failures = attempt = 0
    while True:
        begun = await pace.enter()
        site = min(connections, key=lambda one: one.out)
        try:
            reply = await site.ask(
                manner.path, body, Exchange(site.url, manner.model, sites.key, what, manner.max_tokens)
            )
            pace.answered()
            return reply
        except Again as again:
            failures += not again.busy
            if again.busy:
                pace.refused(begun)
            if failures >= ATTEMPTS or pace.quiet > sites.patience:
                raise _given_up(site.url, what, failures, pace.quiet, again) from None
            seconds = pacing.wait(attempt, again.wait)
        finally:
            pace.leave()
        attempt += 1
        await asyncio.sleep(seconds)


def _given_up(url: str, what: str, failures: int, quiet: float, last: Again) -> Problem:
    if failures >= ATTEMPTS:
        return Problem(
            f"the server failed {failures} times at one question",
            where=f"{url}, {what}",
            found=f"at last {last}",
            fix="see the server's log; answers so far are kept, and the same command goes on",
        )
    return Problem(
        f"the server has answered nothing for {quiet:.0f} s",
        where=f"{url}, {what}",
        found=f"at last {last}",
        fix="look whether it runs, and with how many requests; answers so far are kept, and the same command goes on",
    )


def record(asked: Asked, reply: Reply, voice: Prompter | None, manner: Manner) -> dict[str, Any]:
    """An answer as a line of the answers' file, like those of the built-in engine.

    A server that gives no ids gives text: `tokens` are then this text's under the tokenizer, and the stop id. Without a
    tokenizer of ours there are none, and `completion_tokens` is their number as the server counts them.
    """
    text = reply.text if voice is None or reply.tokens is None else voice.answer(reply.tokens)
    ends = [(text.index(word), word) for word in manner.stop_words if word in text]
    stopped = reply.finish == "stop"
    at_word = stopped and (bool(ends) or (isinstance(reply.stop, str) and reply.stop in manner.stop_words))
    if ends:
        text = text[: min(ends)[0]]
    stop = "length" if not stopped else "stop_word" if at_word else "eos"
    if voice is None:
        found = batch.record(asked, None, text=text, tokens=(), stop=stop)
        return found | {"completion_tokens": reply.completion_tokens}
    tokens = reply.tokens
    if tokens is None:
        ending = [reply.stop if reply.stop in manner.stop_ids else manner.stop_ids[0]]
        tokens = (*voice.tokenizer.encode(text), *(ending if stopped and not at_word else []))
    return batch.record(asked, voice, text=text, tokens=tokens, stop=stop)
