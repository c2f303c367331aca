"""Flags of the commands, built from the configuration leaves they stand for and from nothing else."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from distillery.experiment import Dataset, Experiment, Generation, Layout, Tokenization
from distillery.provenance import canonical


def flags(settings: Mapping[str, Any]) -> str:
    """`{"train_iters": 9, "bf16": True}` as `--train-iters 9 --bf16`, quoted for a shell; False and None say nothing."""
    words: list[str] = []
    for key, value in settings.items():
        if value is not None and value is not False:
            words.append(f"--{key.replace('_', '-')}")
            if value is not True:
                words.append(canonical(value) if isinstance(value, dict) else str(value))
    return shlex.join(words)


def conversation(dataset: Dataset, tokenization: Tokenization) -> str:
    """How rows of a dataset become conversations, and those become tokens."""
    switches = ("seq_length", "pack", "neat_pack", "append_eod")
    return flags(
        {
            "handler_name": dataset.handler_name,
            "prompt_type": tokenization.prompt_type,
            "map_keys": dataset.map_keys,
            "max_rejected_share": tokenization.max_rejected_share,
            **{key: getattr(tokenization, key) for key in switches if getattr(tokenization, key)},
        }
    )


def training(experiment: Experiment) -> str:
    """What decides the trained weights, but for data and initial weights; rotary settings where config.json's differ."""
    stage = experiment.training
    rope = {key: getattr(stage.rope, key) for key in ("rotary_base", "max_position_embeddings")}
    return flags({"seq_length": stage.seq_length, **rope, **experiment.train})


def target(layout: Layout) -> str:
    """How converted weights are cut."""
    settings: dict[str, Any] = {
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "params_dtype": layout.params_dtype,
    }
    if layout.num_layer_list:
        settings["num_layer_list"] = ",".join(map(str, layout.num_layer_list))
    return flags(settings)


def generation(settings: Generation) -> str:
    """How prompts are rendered and continued."""
    lengths = {"prompt_type": settings.prompt_type, "seq_length": settings.seq_length}
    return flags({**lengths, **settings.settings, "threads": settings.threads})
