"""The exact lines of msrun that jobs start on their devices, read from the jobs' own commands."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from distillery.engine.supported_models import from_config
from distillery.fetch import rope_override
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import generate_stage, shape, train_stage
from distillery.planning.experiment_setup import Setup

KEY = "KEY"  # of training's work directory: a digest of flags, data and weights, known when those are there
COMMANDS = ("launch", "train_mindspeed", "generate_mindspeed")


def msrun(command: str, s: Setup) -> str | None:
    """What a job's command starts on several ranks; None for one without ranks, or of a model not known yet.

    Args:
        command: as Snakemake prints it: an interpreter, a command of ours, its flags.
        s: an experiment that the job belongs to.
    """
    words = shlex.split(command)
    script = Path(words[1]).stem if len(words) > 1 else ""
    if script not in COMMANDS:
        return None
    words = launch_request.arguments(words[2:]) if script == "launch" else words[2:]
    at = words.index("--")
    args, _ = _parser().parse_known_args(words[:at])
    wanted = launch_request.from_args(args, words[at + 1 :])
    if script != "launch":
        if s.known is None:
            return None
        wanted = _of_reference(wanted, args, s)
    job, line = launcher.planned(wanted)
    return shlex.join(line) if job.distributed else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    launch_request.add_flags(parser)
    for flag in ("--log", "--load", "--save", "--data-path", "--tokenizer-name-or-path"):
        parser.add_argument(flag, type=Path)
    return parser


def _of_reference(wanted: Request, args: argparse.Namespace, s: Setup) -> Request:
    """With the script and all flags of MindSpeed-LLM, as its commands will add them."""
    settings = s.experiment.train.rope
    config = rope_override.changed(
        dict(s.known.config),
        rotary_base=settings.rotary_base,
        max_position_embeddings=settings.max_position_embeddings,
    )
    model = commandline.words(shape.architecture(from_config(config, s.known.name)))
    places = {"load": args.load, "tokenizer": args.tokenizer_name_or_path}
    if args.data_path is None:
        words = generate_stage.worker(wanted, model, **places)
    else:
        work = args.save / "work" / KEY
        words = train_stage.worker(wanted, model, save=work, data=args.data_path, resume=False, **places)
    return Request(**{**vars(wanted), "worker": tuple(words)})
