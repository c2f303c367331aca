"""What MindSpeed-LLM would refuse of an experiment, said before any job: its own parsers as facts, and its validation.

for fault in faults(experiment, dataset, architecture): print(*fault)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from distillery.architecture import Architecture
from distillery.experiment import Dataset, Experiment
from distillery.launch import commandline
from distillery.launch.mindspeed import (
    accepted_flags,
    convert_stage,
    generate_stage,
    shape,
    tokenize_stage,
    train_lines,
)
from distillery.problems import Problem

ENGINE = "mindspeed-llm"


class Fault(NamedTuple):
    """A kind of refusal (`mindspeed-flag`, ...), the configuration's keys, and what is to be done."""

    kind: str
    keys: tuple[str, ...]
    found: str
    wanted: str
    fix: str


def faults(one: Experiment, dataset: Dataset, model: Architecture | None) -> Iterator[Fault]:
    """Why stages of an experiment cannot start under MindSpeed-LLM 2.2.0; nothing where it runs none.

    Args:
        model: None where config.json is not known yet: its shape is not looked at then.
    """
    asked = [stage for stage, engine in one.engines.items() if engine == ENGINE]
    if asked and one.hardware.mindspeed_llm is None:
        yield Fault(
            "mindspeed-home",
            (f"hardware.{one.hardware.name}.mindspeed_llm", *(_key(one, f"{each}.engine") for each in asked)),
            f"no installation, but engine {ENGINE} for {', '.join(asked)}",
            "its interpreter and directory",
            "set mindspeed_llm: {python: ..., directory: ...}, or choose engine: mindspore",
        )
    for stage in asked:
        for parser, flags in _lines(one, dataset, stage):
            for fault in accepted_flags.faults(parser, commandline.words(flags)):
                yield Fault(
                    "mindspeed-flag", (_key(one, stage),), fault, f"a line that {parser} takes", "change that value"
                )  # fmt: skip
    if "tokenize" in asked:
        yield from _tokenizing(one)
    if "train" in asked:
        yield from _training(one)
    for stage, seed in (("train", one.train.flags["seed"]), ("generate", one.generate.flags["seed"])):
        if stage in asked and seed == 0:
            yield Fault(
                "mindspeed-value",
                (_key(one, f"{stage}.seed"),),
                "0",
                "at least 1: Megatron takes no other seed",
                "choose another seed",
            )
    if model is not None and {"train", "generate"} & {*asked}:
        yield from _shape(one, model)


def _key(one: Experiment, path: str) -> str:
    return f"experiments.{one.name}.{path}"


def _tokenizing(one: Experiment) -> Iterator[Fault]:
    if one.tokenize.pack and not one.tokenize.neat_pack:
        yield Fault(
            "mindspeed-pack",
            (_key(one, "tokenize.pack"), _key(one, "tokenize.engine")),
            "pack without neat_pack, whose files do not tell how many rows they hold",
            "both",
            "set neat_pack too, or leave tokenize.engine out: ours writes the same bytes",
        )
    if rare := one.tokenize.rare:
        yield Fault(
            "mindspeed-value",
            (*(_key(one, f"tokenize.{key}") for key in rare), _key(one, "tokenize.engine")),
            ", ".join(rare),
            "choices that its line has",
            "leave them out, or leave tokenize.engine out: the built-in engine has them",
        )


def _training(one: Experiment) -> Iterator[Fault]:
    """Its validate functions (mindspeed_llm/training/arguments.py) and Megatron's, as far as our keys can hit them."""
    flags = train_lines.of_experiment(one)
    if flags["variable_seq_lengths"] and flags["reset_position_ids"] and not one.tokenize.pack:
        yield Fault(
            "mindspeed-value",
            (_key(one, "train.reset_position_ids"), _key(one, "train.variable_seq_lengths")),
            "positions that start anew, in rows of variable length",
            "one of them: it counts the first as packing",
            "leave reset_position_ids out",
        )
    if flags["reuse_fp32_param"] and not flags.get("bf16"):
        yield Fault(
            "mindspeed-value",
            (_key(one, "train.reuse_fp32_param"), _key(one, "params_dtype")),
            f"reuse_fp32_param with {one.train.layout.params_dtype}",
            "bf16",
            "leave reuse_fp32_param out, or set params_dtype to bf16",
        )
    if flags["lr_warmup_fraction"] >= 1:
        yield Fault(
            "mindspeed-value",
            (_key(one, "train.lr_warmup_fraction"),),
            f"{flags['lr_warmup_fraction']:g}: the warm-up never ends",
            "below 1: Megatron's scheduler wants a step that decays",
            "lower it",
        )
    if flags["eval_interval"] == 0:
        yield Fault(
            "mindspeed-value",
            (_key(one, "train.eval_interval"),),
            "0",
            "at least 1: Megatron divides the steps by it, evaluations or not",
            "leave it out, or set eval_iters to 0 instead",
        )


def _shape(one: Experiment, model: Architecture) -> Iterator[Fault]:
    """Its flags can say what the model is, rotary settings of the experiment included."""
    base = one.train.rope.rotary_base
    own = base is not None and base != model.rotary_base
    try:
        shape.architecture(replace(model, rotary_base=base) if own else model)
    except Problem as problem:
        key = "rope.rotary_base" if own else "model"
        yield Fault(
            "mindspeed-value",
            (_key(one, key),),
            f"{problem.what} ({problem.where}: {problem.found})",
            str(problem.wanted),
            problem.fix or "set train.engine: mindspore",
        )


def _lines(one: Experiment, dataset: Dataset, stage: str) -> Iterator[tuple[str, train_lines.Flags]]:
    """(parser, flags) of a stage, with names for the paths and without what only the model's files tell."""
    if stage == "tokenize":
        settings = tokenize_stage.of_dataset(dataset, one.tokenize)
        paths = tokenize_stage.files(input="I", tokenizer="T", output_prefix="P", cache="C")
        yield tokenize_stage.SCRIPT, {**settings, **paths}
    elif stage == "convert":
        yield (
            "convert_ckpt.py hf",
            convert_stage.hf_to_mcore(one.convert.layout, qkv_bias=True, load="L", save="S"),
        )
        yield (
            "convert_ckpt.py mg",
            convert_stage.mcore_to_hf(one.convert.layout.params_dtype, qkv_bias=True, load="L", save="S"),
        )
    elif stage == "train":
        yield "posttrain_gpt.py", train_lines.of_experiment(one)
    else:
        yield (
            generate_stage.SCRIPT,
            {**generate_stage.of_experiment(one), **generate_stage.files(tokenizer="T", load="L")},
        )
