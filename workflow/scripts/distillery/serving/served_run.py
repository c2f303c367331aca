"""The command generate_served.py from its flags to its output: a problem set, answered by a server."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import ExitStack
from dataclasses import fields, replace
from functools import partial
from typing import Any

from distillery import addresses, files
from distillery.generate import batch, prompter_choice, prompts, tasks, weight_kinds
from distillery.generate.batch import Asked, Limits
from distillery.generate.journal import Journal
from distillery.generate.prompter import Prompter
from distillery.generate.weight_kinds import Weights
from distillery.problems import UsageProblem
from distillery.serving import api_key, asking, contract, dialects, started
from distillery.serving.asking import Sites
from distillery.serving.contract import Introduced
from distillery.serving.dialects import Manner
from distillery.serving.started import Wanted


def run(args: argparse.Namespace) -> dict[str, Any]:
    """See the command generate_served.py; the timings of the answers.

    Raises:
        UsageProblem: a task that no server is asked for.
        Problem: a file, or the server, is not as it should be.
    """
    chosen = {one.name: getattr(args, one.name) for one in fields(tasks.Task) if hasattr(args, one.name)}
    task = tasks.Task(args.task, **{key: value for key, value in chosen.items() if key != "name"})
    dialects.check_task(task.name)
    questions = prompts.read(args.prompt_file)
    if args.load is None:
        _check_foreign(args)
        voice = limits = None
        asked, whose = batch.unrendered(questions, task, args.seed), "the server's own"
        # of which there are no ids
        asked_with = [args.instruction, [list(map(dict, one.messages)) for one in questions]]
    else:
        found = weight_kinds.find(args.load, args.load)
        voice = prompter_choice.of(args, found, args.load).stopping_at([], args.stop_word)
        limits = _limits(args, found)
        asked = batch.ask(questions, voice, task, args.seed, limits)
        whose, asked_with = found.identity, sorted(voice.stop_ids)
    deciding = [whose, task.name, task.settings(), args.max_new_tokens, args.stop_word]
    deciding += [
        asked_with,
        args.server_engine,
        args.served_model,
        args.endpoint,
        args.server_args,
    ]
    wanted = _wanted(args)
    key = api_key.read(args.api_key_env, args.url or "http://localhost")
    with ExitStack() as stack:
        journal = stack.enter_context(Journal(args.output, batch.identity(deciding, asked)))
        sites = Sites((addresses.revealed(args.url or ""),), key, args.concurrency, args.timeout)
        model = args.served_model
        if wanted:
            replicas = stack.enter_context(
                started.running(wanted, partial(batch.check_signals, journal.path))
            )
            sites, model = replace(sites, urls=replicas.urls, check=replicas.check), wanted.model
        server, manner, compared = asyncio.run(_meet(args, model, sites, voice, task, limits, asked))
        if wanted and server.version is None:  # not every server says it
            server = replace(server, version=wanted.version)
        times = asking.answer(asked, voice, manner, sites, journal, log_interval=args.log_interval)
    files.write_json(
        args.output.with_name(f"{args.output.stem}.server.json"), told(args, server, manner, compared)
    )
    return times


def _limits(args: argparse.Namespace, found: Weights) -> Limits:
    model = found.architecture
    longest, _ = model.context
    words = tuple(args.stop_word)
    return Limits(args.seq_length or longest, longest, args.max_new_tokens, model.vocab_size, words)


def _check_foreign(args: argparse.Namespace) -> None:
    """Without weights there is neither a template nor a tokenizer, nor anything to start."""
    if not args.url or args.endpoint != "chat":
        raise UsageProblem(
            "without the weights only messages can be asked, of a server that runs already",
            where="--load",
            found=f"--endpoint {args.endpoint}, {'--url' if args.url else '--server-python'}",
            wanted="--url and --endpoint chat",
            fix="give --load the exported directory that is served, or ask so",
        )


def _wanted(args: argparse.Namespace) -> Wanted | None:
    """The server to start; None where one runs already."""
    if args.url:
        if not args.served_model:
            raise UsageProblem(
                "no model to ask for", where="--served-model", fix="give its name on the server"
            )
        return None
    if not args.server_engine:
        raise UsageProblem(
            "no engine to start", where="--server-engine", wanted="vllm, sglang or transformers"
        )
    return Wanted(
        args.server_engine,
        args.server_python,
        args.load,
        args.server_args,
        args.replicas,
        args.devices,
        (args.log or args.output).with_suffix(".servers"),
        args.start_timeout,
        tuple(args.set_env),
        dict(one.partition("=")[::2] for one in args.env),
    )


async def _meet(
    args: argparse.Namespace,
    model: str,
    sites: Sites,
    voice: Prompter | None,
    task: tasks.Task,
    limits: Limits | None,
    asked: list[Asked],
) -> tuple[Introduced, Manner, str]:
    """What the server is, how it is asked, and how its reading of prompts was compared with ours."""
    (first, *_) = sites.connections()
    async with first as site:
        server = await contract.introduce(site, args.server_engine)
        if voice is None or limits is None:
            own = (args.max_new_tokens, (), tuple(args.stop_word), (), args.instruction)
            return server, Manner(server.kind, model, args.endpoint, task, *own), "the server's own template"
        manner = manner_of(server.kind, model, args.endpoint, task, voice, limits)
        if not manner.takes_ids and args.endpoint != "chat":
            contract.check_texts(voice, asked)
        compared = await contract.check(site, manner, voice, asked)
        if not args.url:  # healthy is not yet able to answer
            await contract.counted(site, manner, voice, asked[0])
        return server, manner, compared


def manner_of(
    kind: str, model: str, endpoint: str, task: tasks.Task, voice: Prompter, limits: Limits
) -> Manner:
    """How a server of this kind is asked for answers under these limits."""
    # the id that training ends answers with first, where the tokenizer knows it
    own = voice.tokenizer.special_id("eos")
    stop_ids = sorted(voice.stop_ids, key=lambda one: (one != own, one))
    texts = tuple(voice.rendered([one]) for one in stop_ids)
    return Manner(
        kind, model, endpoint, task, limits.max_new_tokens, tuple(stop_ids), limits.stop_words, texts
    )


def told(args: argparse.Namespace, server: Introduced, manner: Manner, compared: str) -> dict[str, Any]:
    """Who answered, for the record beside the answers."""
    asked_as = "messages" if manner.endpoint == "chat" else "ids" if manner.takes_ids else "text"
    return {
        "engine": server.kind,
        "version": server.version,
        "model": args.served_model or started.SERVED,
        "asked_as": asked_as,
        "prompts_compared_by": compared,
        "sampling": manner.sampling(),
        "args": args.server_args,
        # batches, and with them the order of sums, depend on who else asks
        "bit_reproducible": False,
    }
