"""MindSpeed-LLM's inference.py: its answer to its one built-in question, taken out of rank 0's log.

It reads no prompts and writes no file, so it shows that weights load and speak, which is what the guide's generation
step does. Problem sets are then answered by the built-in engine.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distillery import digests, model_config
from distillery import files as disk
from distillery.experiment import Experiment
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags
from distillery.launch.mindspeed.shape import FUSED, PRECISION, Flags, layout_flags
from distillery.launch.mindspeed.shape import architecture as shape
from distillery.problems import Problem

SCRIPT = "inference.py"
# settings of `generate` that its parser knows; it answers one question once, with two beams
SETTINGS = (
    "task",
    "max_new_tokens",
    "temperature",
    "top_k",
    "top_p",
    "seed",
    "use_kv_cache",
    "max_tokens_to_oom",
)
# its tasks log "You:", the question, "MindSpeed-LLM:", the answer and a line of signs
ANSWER = re.compile(
    r"^You:\n(?P<question>.*?)\n\nMindSpeed-LLM:\n(?P<answer>.*?)\n=+$", re.MULTILINE | re.DOTALL
)


def of_experiment(experiment: Experiment) -> Flags:
    """inference.py's flags but for the model's shape and the paths, with the settings of the tuned model's answers."""
    stage, settings = experiment.generate, experiment.generate.flags
    template = bool(settings.get("hf_chat_template"))
    return flags(
        stage.layout,
        {key: settings[key] for key in SETTINGS if key in settings}
        | ({"hf_chat_template": True} if template else {}),
        prompt_type=None if template else stage.prompt_type,
        seq_length=stage.seq_length,
        framework=experiment.hardware.framework,
    )


def flags(
    layout: Any,
    settings: Mapping[str, Any],
    *,
    prompt_type: str | None,
    seq_length: int,
    framework: str = "mindspore",
) -> Flags:
    """inference.py's flags for weights of a layout.

    Args:
        settings: of SETTINGS, and hf_chat_template.
        seq_length: of question and answer together.
    """
    return {
        # PyTorch is what it takes where nothing is said
        "ai_framework": framework if framework == "mindspore" else None,
        "use_mcore_models": True,
        **layout_flags(layout),
        "max_position_embeddings": seq_length,
        "seq_length": seq_length,
        **FUSED,
        "prompt_type": prompt_type,
        "micro_batch_size": 1,
        "tokenizer_type": "PretrainedFromHF",
        "tokenizer_not_use_fast": True,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
        "no_gradient_accumulation_fusion": True,
        "attention_softmax_in_fp32": True,
        **settings,
        # the shipped script of the guide has none, so that bf16 weights are multiplied in fp32
        **PRECISION[layout.params_dtype],
        "exit_on_missing_checkpoint": True,
    }


def files(*, tokenizer: str, load: str) -> Flags:
    """Flags that say where tokenizer and weights lie."""
    return {"tokenizer_name_or_path": tokenizer, "load": load}


def run(args: argparse.Namespace) -> str:
    """Let it answer as generate_mindspeed.py's flags ask; question and answer are written to --output and returned.

    Raises:
        Problem: flags that the reference rejects, a failed run, or one that answered nothing.
        Interrupted: stopped by a signal.
    """
    request = launch_request.from_args(args, args.worker)
    load, tokenizer, output = args.load, args.tokenizer_name_or_path, args.output
    model = commandline.words(shape(model_config.read(tokenizer)))
    script, *words = worker(request, model, load=load, tokenizer=tokenizer)
    accepted_flags.refuse(SCRIPT, words, request.framework, request.version)
    disk.remove(output)
    launcher.start(replace(request, worker=(script, *words)))
    log = request.log_dir / "worker_0.log"
    found = list(ANSWER.finditer(log.read_text(encoding="utf-8", errors="replace")))
    if not found:
        raise Problem(
            "every rank ended with status 0, but rank 0's log has no answer",
            where=log,
            wanted="'You:', the question, 'MindSpeed-LLM:' and the answer, as its tasks log them",
            fix="read the log; the built-in engine answers the same weights",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(f"{one['question']}\n\n{one['answer']}" for one in found) + "\n"
    digests.write_text(output, text)
    return text


def worker(request: Request, model: list[str], *, load: Path, tokenizer: Path) -> list[str]:
    """The reference's script and all its flags; `model` are those of its shape."""
    paths = files(tokenizer=str(tokenizer.absolute()), load=str(load.absolute()))
    script = str((request.directory / SCRIPT).absolute())
    return [script, *request.worker, *model, *commandline.words(paths)]
