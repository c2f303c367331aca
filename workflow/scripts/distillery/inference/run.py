"""The inference command from its flags to its output: everything is checked before a weight is read."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING

from distillery import provenance
from distillery.engine import compiling, threads
from distillery.inference import batch, chat, prompter, prompts, reference, signals, tasks, weights
from distillery.inference.batch import Limits
from distillery.inference.weights import Weights
from distillery.problems import Problem, UsageProblem

if TYPE_CHECKING:
    from distillery.engine.generation import Runner


def run(args: argparse.Namespace) -> None:
    """See the command inference.py.

    Raises:
        UsageProblem: flags that contradict one another, the weights or the place they are used in.
        Problem: a file that is missing or wrong.
    """
    task = tasks.Task(
        args.task,
        args.num_samples,
        args.temperature,
        args.top_k,
        args.top_p,
        args.num_beams,
        args.length_penalty,
    )
    chatting = task.name == tasks.CHAT
    if chatting:
        chat.require_terminal()
    elif args.output is None:
        raise UsageProblem("no place for the answers", where="--output", fix="add --output FILE.jsonl")
    if args.prompt and args.prompt_file:
        raise UsageProblem("two sources of prompts", where="--prompt, --prompt-file", fix="give one of them")
    for name in ("max_new_tokens", "micro_batch_size", "log_interval"):
        if getattr(args, name) < 1:
            flag = "--" + name.replace("_", "-")
            raise UsageProblem("a count below 1", where=flag, found=getattr(args, name), wanted="at least 1")
    if task.ignored():
        print(f"warning: --task {task.name} does not read {', '.join(task.ignored())}", file=sys.stderr)
    tokenizer = args.tokenizer_name_or_path or args.load
    _prepare(args.threads or os.cpu_count())
    found = weights.find(args.load, tokenizer)
    reference.check(args, found.architecture)
    limits = Limits(_context(args.seq_length, found), args.max_new_tokens, tuple(args.stop_word))
    voice = _prompter(args, found, tokenizer)
    task.begin(None)  # refuses settings out of range

    def build(slots: int, longest: int) -> Runner:
        from distillery.inference import loading

        return loading.runner(
            found, slots, longest, not task.draws and not task.searches, args.device, args.kernels
        )

    if chatting:
        signals.release(SIGTERM)  # there is nothing to save
        runner = build(1, limits.context)
        chat.Chat(runner, voice, task, limits, args.seed, args.history_turns, args.fold_thoughts).run()
        return
    source = (
        prompts.read(args.prompt_file)
        if args.prompt_file
        else prompts.question(args.prompt or prompts.QUESTION)
    )
    asked = batch.ask(source, voice, task, args.seed, limits)
    settings = {"task": task.name, **task.settings(), "new": args.max_new_tokens, "stop": args.stop_word}
    engine = [
        provenance.code("distillery.inference.run"),
        compiling.digests(compiling.DECODING),
        args.device,
        args.kernels,
    ]
    identity = [found.identity, settings, sorted(voice.stop_ids), engine]
    times = batch.answer(
        asked, voice, task, limits, args.micro_batch_size, build, args.output, identity, args.log_interval
    )
    print(
        f"{args.output}: {times['answers']} answers, {times['tokens']} tokens in {times['generate_seconds']} s"
    )


def _context(seq_length: int | None, found: Weights) -> int:
    model = found.architecture.max_positions
    if seq_length is not None and seq_length > model:
        raise Problem(
            "--seq-length is longer than the model's context",
            where=f"--seq-length; config.json of {found.directory}, max_position_embeddings",
            found=seq_length,
            wanted=f"at most {model}",
            fix=f"use --seq-length {model}",
        )
    return seq_length or model


def _prompter(args: argparse.Namespace, found: Weights, tokenizer: Path) -> prompter.Prompter:
    if args.hf_chat_template:
        if args.prompt_type:
            raise UsageProblem(
                "two ways to render prompts",
                where="--prompt-type, --hf-chat-template",
                fix="give one of them",
            )
        return prompter.by_chat_template(tokenizer)
    return prompter.by_prompt_type(tokenizer, weights.prompt_type(found, args.prompt_type), found.template)


def _prepare(count: int) -> None:
    threads.limit(count)
    os.environ["MS_COMPILER_CACHE_ENABLE"] = "0"  # see engine.arrival
    os.environ.setdefault("GLOG_v", "3")  # MindSpore's warnings are about devices that are not there
