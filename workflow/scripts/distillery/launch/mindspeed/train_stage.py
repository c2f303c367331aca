"""Training by MindSpeed-LLM with the built-in engine's manners: a work directory per digest, resumed, done.json last.

The first checkpoint is read while training goes on, and done.json comes when all weights of the last one were read.
SAVE/work/<key>/ is the reference's own --save; <key> is the digest of its flags, the data and the initial weights.
A start that finds a checkpoint of the same key there loads it with optimizer and step count; otherwise the weights
of --load begin at step 0. At the end SAVE is an MCore checkpoint that points into the work directory.
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillery import digests, files, json_files, model_config, one_writer
from distillery.checkpoint_names import DONE, TRACKER, WORK, iteration_name, tracked
from distillery.engine import train_progress
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags, adopted_weights, shape, train_lines
from distillery.problems import Interrupted, Problem
from distillery.provenance import digest
from distillery.train.train_files import weights_identity

SCRIPT = "posttrain_gpt.py"


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Train as train_mindspeed.py's flags ask, and return done.json's content.

    Of nodes started by hand, node 0 prepares and finishes; the others train, and return None.

    Raises:
        Problem: flags that the reference rejects, a failed run, or a checkpoint with ranks missing.
        Interrupted: stopped by a signal or a time limit, with a checkpoint to go on from.
    """
    request, chosen = launch_request.from_args(args, args.worker), args.worker
    load, save, data, tokenizer = args.load, args.save, args.data_path, args.tokenizer_name_or_path
    model = commandline.words(shape.architecture(model_config.read(tokenizer)))
    manifest = digests.read_json(data.with_name(f"{data.name}_manifest.json"))
    if "mix" in manifest:  # samples, and behind them what is held out
        chosen = list(chosen)
        chosen[chosen.index("--split") + 1] = f"{manifest['training']},{manifest['held_out']},0"
        request = replace(request, worker=tuple(chosen))
    content = {
        "engine": accepted_flags.engine(request.version),
        "flags": [*chosen, *model],
        "data": manifest,
        "weights": weights_identity(load),
    }
    work = _folder((save / WORK).absolute(), content)
    goal = int(_value(chosen, "--train-iters"))
    first = request.node_rank == 0
    with one_writer.of(work) if first and not request.print_only else nullcontext():
        reached = _tracked(work)
        # without its optimizer a checkpoint cannot be gone on from
        resume = 0 < reached < goal and "--no-save-optim" not in chosen
        if reached < goal:
            start = work if resume else load
            script, *words = worker(
                request, model, load=start, save=work, data=data, tokenizer=tokenizer, resume=resume
            )
            accepted_flags.refuse(SCRIPT, words, request.framework, request.version)
            if first and not request.print_only:
                digests.write_json(work / "key.json", content)
                train_progress.cut(work / "metrics.jsonl", reached if resume else 0)
            request = replace(
                request, worker=(script, *words), metrics=work / "metrics.jsonl", checkpoints=work
            )
            if not first:
                launcher.start(request)
                return None
            _launch(request, work, goal)
    if not first:
        return None
    sizes = [int(_value(chosen, f"--{kind}-model-parallel-size")) for kind in ("tensor", "pipeline")]
    payload = adopted_weights.trained_payload(work, goal, *sizes, tokenizer)
    return _finish(save.absolute(), work, goal, payload, manifest)


def _folder(home: Path, content: dict[str, Any]) -> Path:
    """Where a run of this content works.

    It is a folder whose key.json says the same, in whatever order its flags stand, or one that is called after the
    digest.
    """

    def said(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "flags": sorted(accepted_flags.grouped(one["flags"]))}

    for path in sorted(home.glob("*/key.json")):
        if said(json_files.read(path)) == said(content):
            return path.parent
    return home / digest(content)[:16]


def worker(
    request: Request, model: list[str], *, load: Path, save: Path, data: Path, tokenizer: Path, resume: bool
) -> list[str]:
    """The reference's script and all its flags; `model` are those of its shape."""
    paths = train_lines.files(
        tokenizer=str(tokenizer.absolute()),
        data=str(data.absolute()),
        load=str(load.absolute()),
        save=str(save.absolute()),
        resume=resume,
    )
    script = str((request.directory / SCRIPT).absolute())
    # Megatron saves on SIGTERM and ends with status 0
    return [script, *request.worker, *model, *commandline.words({**paths, "exit_signal_handler": True})]


def _launch(request: Request, work: Path, goal: int) -> None:
    before = _tracked(work)
    try:
        launcher.start(request)
    except Interrupted as interrupted:
        # status 0 after a signal is Megatron's word for "saved": the tracker is the proof
        if _tracked(work) <= before:
            raise Problem(
                "stopped by a signal, and no newer checkpoint was saved",
                where=work / TRACKER,
                found=before or "none",
                fix="run the same command again: it continues from the last checkpoint, if there is one",
            ) from interrupted
        raise
    reached = _tracked(work)
    if before < reached < goal:
        # the signal came to another node, or the loss is printed there: no line here said that the end was early
        raise Interrupted(
            "every rank ended with status 0 before the last step, and a newer checkpoint was saved",
            where=work / TRACKER,
            found=reached,
            wanted=goal,
            fix="run the same command again: it continues there",
        )
    if reached != goal:
        raise Problem(
            "every rank ended with status 0, but the last step's checkpoint is not there",
            where=work / TRACKER,
            found=reached or "none",
            wanted=goal,
            fix=f"read the ranks' logs in {request.log_dir}",
        )


def _finish(save: Path, work: Path, goal: int, payload: str, manifest: dict[str, Any]) -> dict[str, Any]:
    checkpoint = work / iteration_name(goal)
    losses = [record["loss"] for record in train_progress.read(work / "metrics.jsonl") if "loss" in record]
    with one_writer.of(save):
        files.remove(save / DONE)
        for old in save.glob("iter_*"):
            files.remove(old)
        os.symlink(checkpoint.relative_to(save), save / checkpoint.name, target_is_directory=True)
        files.write_text(save / TRACKER, str(goal))
        done = {
            **({"mix": manifest["mix"]} if "mix" in manifest else {}),
            "iteration": goal,
            "key": work.name,
            "checkpoint": str(checkpoint.relative_to(save)),
            "payload_digest": payload,
            "loss": losses[-1] if losses else None,
            "best": None,
            "template": manifest.get("template"),
            "metrics": str((work / "metrics.jsonl").relative_to(save)),
        }
        if (work / "metrics.jsonl").is_file():
            digests.record(work / "metrics.jsonl")
        digests.write_json(save / DONE, done)
        return done


def _value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def _tracked(directory: Path) -> int:
    """The iteration that a checkpoint directory's tracker names; 0 without one."""
    path = directory / TRACKER
    found = tracked(path) if path.is_file() else 0
    return found if isinstance(found, int) else 0
