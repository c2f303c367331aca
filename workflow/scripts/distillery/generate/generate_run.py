"""The inference command from its flags to its output: everything is checked before a weight is read."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING

from distillery import digests, megatron_flags, schema
from distillery.engine import numerics, threads
from distillery.generate import (
    batch,
    chat,
    generate_ranks,
    prompter_choice,
    prompts,
    signals,
    tasks,
    weight_kinds,
)
from distillery.generate.batch import Limits
from distillery.generate.journal import Journal
from distillery.generate.weight_kinds import Weights
from distillery.problems import Problem, UsageProblem

if TYPE_CHECKING:
    from distillery.engine.driver import Driver
    from distillery.engine.mesh import Mesh
    from distillery.engine.slots import Slots

CHAT_CONTEXT = 8192  # the guide's SEQ_LENGTH


def run(args: argparse.Namespace) -> None:
    """See the command inference.py.

    Raises:
        UsageProblem: flags that contradict one another, the weights or the place they are used in.
        Problem: a file that is missing or wrong.
    """
    chosen = {field.name: getattr(args, field.name) for field in fields(tasks.Task) if field.name != "name"}
    task = tasks.Task(args.task, **chosen)
    generate_ranks.check(args)
    _check_flags(args, task)
    tokenizer = args.tokenizer_name_or_path or args.load
    _prepare(args.threads or max(os.cpu_count() // generate_ranks.world(), 1))
    found = weight_kinds.find(args.load, tokenizer)
    megatron_flags.check(args, found.architecture)
    layout = generate_ranks.layout(args, found.architecture)
    context = _context(args, found, task)
    model_context, _ = found.architecture.context
    rows = found.architecture.vocab_size
    limits = Limits(context, model_context, args.max_new_tokens, rows, tuple(args.stop_word))
    voice = prompter_choice.of(args, found, tokenizer).stopping_at(args.add_eos_token, args.stop_word)

    def load(mesh: Mesh, slots: int, longest: int) -> Slots:
        from distillery.generate import loading

        how = {key: getattr(args, key) for key in ("device", "kernels", "kv_cache_dtype", "weights")}
        return loading.part(found, layout, mesh, slots, longest, **how)

    def build(driver: Driver, slots: int, longest: int) -> Slots:
        from distillery.generate import loading

        made, greedy = driver.build(load, slots, longest), task.name == tasks.GREEDY
        return loading.compiled(made, found, longest, greedy, args.device)

    if task.name == tasks.CHAT:
        signals.release(SIGTERM)  # there is nothing to save
        runner = build(generate_ranks.lead(generate_ranks.join(args), load), 1, limits.context)
        shown = {"history_turns": args.history_turns, "fold": args.fold_thoughts}
        chat.Chat(runner, voice, task, limits, seed=args.seed, **shown).run()
        return
    text = args.prompt or prompts.QUESTION
    source = prompts.read(args.prompt_file) if args.prompt_file else prompts.question(text)
    asked = batch.ask(source, voice, task, args.seed, limits)
    settings = {"task": task.name, **task.settings(), "new": args.max_new_tokens, "stop": args.stop_word}
    engine = [numerics.GENERATION, args.device, args.kernels]
    identity = [found.identity, settings, sorted(voice.stop_ids), engine]
    if layout.tensor_parallel_size > 1:  # sums in another order; stages change nothing
        identity.append(layout.tensor_parallel_size)
    if args.kv_cache_dtype != "fp32":  # rounded
        identity.append(args.kv_cache_dtype)
    rounded = None if args.weights == schema.default("experiments.*.generate.weights") else args.weights
    if rounded:
        identity.append(rounded)
    mesh, everything = generate_ranks.join(args), batch.identity(identity, asked)
    with ExitStack() as stack:
        target = stack.enter_context(_target(args.output))
        if mesh.rank == 0:  # before the others look: it takes over what they left in an earlier run
            journal = stack.enter_context(Journal(target, everything))
        driver = generate_ranks.lead(mesh, load)
        if driver is None:
            return  # the first rank has ended, and written what there is to write
        if mesh.rank:
            journal = stack.enter_context(Journal(target, everything, mesh.data_rank))
        times = batch.answer(
            asked,
            voice,
            task,
            limits,
            slots=args.micro_batch_size,
            build=partial(build, driver),
            journal=journal,
            replicas=mesh.data,
            log_interval=args.log_interval,
            weights=rounded,
        )
        if not args.prompt_file:
            print(*(row["text"] for row in digests.json_lines(target)), sep="\n\n")
    driver.tell("end")
    if args.output and mesh.rank == 0:
        seconds = times["generate_seconds"]
        print(f"{args.output}: {times['answers']} answers, {times['tokens']} tokens in {seconds} s")


def _check_flags(args: argparse.Namespace, task: tasks.Task) -> None:
    if task.name == tasks.CHAT:
        chat.require_terminal()
    elif args.prompt_file and args.output is None:
        raise UsageProblem("no place for the answers", where="--output", fix="add --output FILE.jsonl")
    if "" in args.stop_word:
        raise UsageProblem(
            "an empty stop word would end every answer after its first token",
            where="--stop-word",
            fix="leave it out, or give a text",
        )
    if args.prompt is not None and not args.prompt.strip():
        raise UsageProblem("an empty question", where="--prompt", fix="leave it out, or ask something")
    if args.prompt and args.prompt_file:
        raise UsageProblem("two sources of prompts", where="--prompt, --prompt-file", fix="give one of them")
    for name in ("max_new_tokens", "micro_batch_size", "log_interval"):
        if getattr(args, name) < 1:
            flag = "--" + name.replace("_", "-")
            raise UsageProblem("a count below 1", where=flag, found=getattr(args, name), wanted="at least 1")
    if task.ignored():
        print(f"warning: --task {task.name} does not read {', '.join(task.ignored())}", file=sys.stderr)
    task.begin(None)  # refuses settings out of range


@contextmanager
def _target(output: Path | None) -> Iterator[Path]:
    """The answers' file; for a question whose answer is only shown, one that does not stay."""
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "answer.jsonl"


def _context(args: argparse.Namespace, found: Weights, task: tasks.Task) -> int:
    model, key = found.architecture.context
    seq_length, new = args.seq_length, args.max_new_tokens
    if seq_length is not None and seq_length > model:
        raise Problem(
            "--seq-length is longer than the model's context",
            where=f"--seq-length; config.json of {found.directory}, {key}",
            found=seq_length,
            wanted=f"at most {model}",
            fix=f"use --seq-length {model}",
        )
    if task.name != tasks.CHAT:
        return seq_length or model
    context = seq_length or min(model, CHAT_CONTEXT)  # a chat's cache is made for the whole context at once
    if new >= context:
        raise Problem(
            "answers may take the whole context: no question would fit beside one",
            where="--max-new-tokens, --seq-length",
            found=f"{new} new tokens in a context of {context}",
            wanted=f"less than {context}, with room for the question and earlier turns",
            fix=f"--max-new-tokens {max(context // 2, 1)}; the model's context is {model} tokens",
        )
    return context


def _prepare(count: int) -> None:
    threads.limit(count)
    os.environ.setdefault("GLOG_v", "3")  # MindSpore's warnings are about devices that are not there
