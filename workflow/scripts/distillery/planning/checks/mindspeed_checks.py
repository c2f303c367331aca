"""What MindSpeed-LLM would refuse of an experiment: its own parsers as facts, and its validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from distillery.launch import commandline
from distillery.launch.mindspeed import (
    accepted_flags,
    convert_stage,
    generate_stage,
    shape,
    tokenize_stage,
    train_lines,
)
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error
from distillery.problems import Problem
from distillery.tokenize.sharegpt import JOIN

ENGINE = "mindspeed-llm"


def _asked(s: Setup) -> list[str]:
    """The stages that it runs, by their keys in the configuration."""
    return [stage for stage, engine in s.experiment.engines.items() if engine == ENGINE]


def installation(s: Setup) -> Iterator[Finding]:
    """It lies somewhere on the machine, with an interpreter of its own."""
    asked = _asked(s)
    if asked and s.experiment.hardware.mindspeed_llm is None:
        yield error(
            "mindspeed-home",
            [f"{s.hardware_key}.mindspeed_llm", *s.keys(*(f"{each}.engine" for each in asked))],
            f"no installation, but engine {ENGINE} for {', '.join(asked)}",
            "its interpreter and directory",
            "set mindspeed_llm: {python: ..., directory: ...}, or choose engine: mindspore",
        )


def set_env(s: Setup) -> Iterator[Finding]:
    """MindSpeed-Core-MS's auto_convert.sh and its kind set variables too, after they removed the checkouts."""
    for line in s.experiment.hardware.set_env:
        if "/auto_convert" in line:
            yield error(
                "set-env",
                [f"{s.hardware_key}.set_env"],
                f"{line}, which removes the checkouts and clones them again, at every start",
                "a script that sets variables only",
                "source it once by hand, and name tests/scripts/set_path.sh beside it here",
            )


def flags(s: Setup) -> Iterator[Finding]:
    """Its parsers take every line that is derived for it."""
    hardware = s.experiment.hardware
    back_end = hardware.framework, hardware.mindspeed_version
    for stage in _asked(s):
        for parser, line in _lines(s, stage):
            for fault in accepted_flags.faults(parser, commandline.words(line), *back_end):
                expected = f"a line that {parser} takes"
                cure = f"change that value, or leave {stage}.engine out"
                yield error("mindspeed-flag", s.keys(stage), fault, expected, cure)


def _lines(s: Setup, stage: str) -> Iterator[tuple[str, train_lines.Flags]]:
    """(parser, flags) of a stage, with names for the paths and without what only the model's files tell."""
    e, places = s.experiment, {"load": "L", "save": "S"}
    if stage == "tokenize":
        settings = tokenize_stage.of_dataset(s.dataset, e.tokenize)
        paths = tokenize_stage.files(input="I", tokenizer="T", output_prefix="P", cache="C")
        yield tokenize_stage.SCRIPT, {**settings, **paths}
    elif stage == "convert":
        layout = e.convert.layout
        places |= {"framework": e.hardware.framework, "version": e.hardware.mindspeed_version}
        model = s.architecture  # of one that is not known yet, Qwen2's line
        tensors = {
            "qkv_bias": model is None or model.add_qkv_bias,
            "qk_layernorm": model is not None and model.qk_layernorm,
        }
        yield convert_stage.hf_to_mcore(layout, **tensors, **places)
        yield convert_stage.mcore_to_hf(layout.params_dtype, **tensors, **places)
    elif stage == "train":
        yield "posttrain_gpt.py", train_lines.of_experiment(e)
    else:
        paths = generate_stage.files(tokenizer="T", load="L")
        yield generate_stage.SCRIPT, {**generate_stage.of_experiment(e), **paths}


def tokenize(s: Setup) -> Iterator[Finding]:
    """Its preprocessing has neither our choices nor counts of packed rows."""
    if "tokenize" not in _asked(s):
        return
    made = s.experiment.tokenize
    if made.pack and not made.neat_pack:
        yield error(
            "mindspeed-pack",
            s.keys("tokenize.pack", "tokenize.engine"),
            "pack without neat_pack, whose files do not tell how many rows they hold",
            "both",
            "set neat_pack too, or leave tokenize.engine out: ours writes the same bytes",
        )
    if rare := made.rare:
        yield error(
            "mindspeed-value",
            s.keys(*(f"tokenize.{key}" for key in rare), "tokenize.engine"),
            ", ".join(rare),
            "choices that its line has",
            "leave them out, or leave tokenize.engine out: the built-in engine has them",
        )


def train(s: Setup) -> Iterator[Finding]:
    """Its validate functions (mindspeed_llm/training/arguments.py) and Megatron's, as far as our keys can hit them."""
    if "train" not in _asked(s):
        return
    e = s.experiment
    line = train_lines.of_experiment(e)
    if line["variable_seq_lengths"] and line["reset_position_ids"] and not e.tokenize.pack:
        yield error(
            "mindspeed-value",
            s.keys("train.reset_position_ids", "train.variable_seq_lengths"),
            "positions that start anew, in rows of variable length",
            "one of them: it counts the first as packing",
            "leave reset_position_ids out",
        )
    if line["reuse_fp32_param"] and not line.get("bf16"):
        yield error(
            "mindspeed-value",
            s.keys("train.reuse_fp32_param", "params_dtype"),
            f"reuse_fp32_param with {e.train.layout.params_dtype}",
            "bf16",
            "leave reuse_fp32_param out, or set params_dtype to bf16",
        )
    if line["lr_warmup_fraction"] >= 1:
        yield error(
            "mindspeed-value",
            s.keys("train.lr_warmup_fraction"),
            f"{line['lr_warmup_fraction']:g}: the warm-up never ends",
            "below 1: Megatron's scheduler wants a step that decays",
            "lower it",
        )
    if "lora" in s.train:
        yield error(
            "mindspeed-value",
            s.keys("train.lora", "train.engine"),
            "adapters, which MindSpeed-LLM saves apart from the weights they belong to (base_layer, lora_A, lora_B)",
            "weights that the next stages read as they lie",
            "set train.engine: mindspore, or leave lora out; by hand, its convert_ckpt.py merges them with --lora-load, "
            "--lora-r, --lora-alpha and --lora-target-modules",
        )
    if s.train["eval_interval"] == 0:
        yield error(
            "mindspeed-value",
            s.keys("train.eval_interval"),
            "0",
            "at least 1: Megatron divides the steps by it, evaluations or not",
            "leave it out, or set eval_iters to 0 instead",
        )


def seeds(s: Setup) -> Iterator[Finding]:
    """Megatron starts its random numbers from a positive seed."""
    asked = _asked(s)
    for stage, settings in (("train", s.train), ("generate", s.generate)):
        if stage in asked and settings["seed"] == 0:
            expected = "at least 1: Megatron takes no other seed"
            yield error("mindspeed-value", s.keys(f"{stage}.seed"), "0", expected, "choose another seed")


def model_shape(s: Setup) -> Iterator[Finding]:
    """Its flags can say what the model is, rotary settings of the experiment included."""
    model, base = s.architecture, s.experiment.train.rope.rotary_base
    if model is None or not {"train", "generate"}.intersection(_asked(s)):
        return
    own = base is not None and base != model.rotary_base
    try:
        shape.architecture(replace(model, rotary_base=base) if own else model)
    except Problem as problem:
        yield error(
            "mindspeed-value",
            s.keys("rope.rotary_base" if own else "model"),
            f"{problem.what} ({problem.where}: {problem.found})",
            str(problem.wanted),
            problem.fix or "set train.engine: mindspore",
        )


def beyond_the_reference(s: Setup) -> Iterator[Finding]:
    """MindSpeed-LLM's preprocess_data.py makes no labels of plain text and reads no thoughts of a field of their own."""
    if s.experiment.tokenize.engine != "mindspeed-llm":
        return
    for key, found, is_so in (
        (
            f"{s.dataset_key}.handler_name",
            "GeneralPretrainHandler, of whose texts it makes no labels",
            s.dataset.is_text,
        ),
        (f"{s.dataset_key}.thoughts", "thoughts: join, which it does not know", s.dataset.thoughts == JOIN),
        (f"{s.dataset_key}.hold_out", "hold_out, of which it knows nothing", s.dataset.hold_out is not None),
        (
            s.key("select"),
            "select, whose rows it cannot leave out",
            s.experiment.tokenize.selection is not None,
        ),
    ):
        if is_so:
            keys = s.key("tokenize.engine"), key
            yield error(
                "mindspeed-reader",
                keys,
                f"MindSpeed-LLM and {found}",
                "one of them",
                "leave tokenize.engine out",
            )


CHECKS = (installation, set_env, flags, tokenize, beyond_the_reference, train, seeds, model_shape)
