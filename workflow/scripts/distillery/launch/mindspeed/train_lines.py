"""The flags of MindSpeed-LLM's posttrain_gpt.py, derived from a model's config.json and an experiment's choices.

    words = commandline.words({**sft(layout, settings, ...), **shape.architecture(model), **files(...)})

`accepted_flags.faults` says whether a line is one that the reference takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.experiment import Experiment, Layout
from distillery.launch import commandline
from distillery.launch.mindspeed.shape import FUSED, PRECISION, Flags, layout_flags

# a start from weights alone; a resumed run reads the rest too
START = ("finetune", "no_load_optim", "no_load_rng")


def sft(
    layout: Layout,
    settings: Mapping[str, Any],
    *,
    prompt_type: str,
    seq_length: int,
    framework: str = "mindspore",
) -> Flags:
    """posttrain_gpt.py for supervised fine-tuning: all but the model's shape, the paths and the start.

    Args:
        settings: training keys in Megatron's words (train_iters, lr, ...); they replace the constants here.
        seq_length: tokens of the longest sequence.
    """
    bf16 = layout.params_dtype == "bf16"
    chosen = commandline.in_megatrons_words(settings)
    distributed = chosen.setdefault("use_distributed_optimizer", True)
    packed = chosen.pop("pack", False)
    chosen.setdefault("reuse_fp32_param", bf16 and distributed)
    # packed rows have one length, and positions that start anew with each document; so have rows cut over ranks
    chosen.setdefault("variable_seq_lengths", not packed and chosen.get("context_parallel_size", 1) == 1)
    chosen.setdefault("reset_position_ids", packed)
    if chosen.get("recompute_granularity") == "full":
        chosen = {**chosen, "recompute_method": "uniform", "recompute_num_layers": 1}
    if chosen.get("context_parallel_size") == 1:
        chosen.pop("context_parallel_size")
    for key in (*START, "keep_checkpoints"):  # it keeps all
        chosen.pop(key, None)
    return {
        "use_mcore_models": True,
        **layout_flags(layout),
        "max_position_embeddings": seq_length,
        "seq_length": seq_length,
        "use_flash_attn": True,
        **FUSED,
        "tokenizer_type": "PretrainedFromHF",
        "tokenizer_not_use_fast": True,
        "attention_dropout": 0.0,
        "hidden_dropout": 0.0,
        "init_method_std": 0.01,
        "initial_loss_scale": 4096,
        "no_gradient_accumulation_fusion": True,
        "no_masked_softmax_fusion": True,
        "attention_softmax_in_fp32": True,
        "overlap_grad_reduce": distributed,
        "overlap_param_gather": distributed,
        **PRECISION[layout.params_dtype],
        "eval_interval": chosen["train_iters"],
        "eval_iters": 0,
        **chosen,
        "log_interval": 1,
        # not with variable lengths: the reference then switches it off itself, with a warning
        "log_throughput": not chosen["variable_seq_lengths"],
        "stage": "sft",
        "is_instruction_dataset": True,
        "prompt_type": prompt_type,
        "distributed_backend": "nccl",
        # PyTorch is what it takes where nothing is said
        "ai_framework": framework if framework == "mindspore" else None,
    }


def of_experiment(experiment: Experiment) -> Flags:
    """`sft` for an experiment, packed as its data are."""
    stage, tokens = experiment.train, experiment.tokenize
    settings = dict(experiment.train.flags)
    if float(settings["split"].split(",")[1]) == 0:  # no document to evaluate on
        del settings["eval_interval"], settings["eval_iters"]
    if tokens.pack:
        settings |= {"pack": True, "neat_pack": tokens.neat_pack}
    if experiment.hardware.deterministic:
        settings["npu_deterministic"] = True
    lengths = {"prompt_type": stage.prompt_type, "seq_length": stage.seq_length}
    return sft(stage.layout, settings, **lengths, framework=experiment.hardware.framework)


def files(*, tokenizer: str, data: str, load: str, save: str, resume: bool = False) -> Flags:
    """posttrain_gpt.py's paths, and how it starts.

    Args:
        resume: `load` is this run's own checkpoint: its optimizer, scheduler and step count are read too.
    """
    return {
        "tokenizer_name_or_path": tokenizer,
        "data_path": data,
        "load": load,
        "save": save,
        **dict.fromkeys(START, not resume),
    }
