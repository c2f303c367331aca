"""What MindSpeed-LLM would refuse of a configuration, said before any job: its own parsers as facts."""

from __future__ import annotations

from collections.abc import Iterator

from distillery import commandline
from distillery.experiment import Config, Experiment
from distillery.launch.mindspeed import answering, converting, facts, tokenizing, training
from distillery.problems import Problem

ENGINE = "mindspeed-llm"


def refuse(config: Config) -> None:
    """Raise for experiments whose stages cannot start: no installation named, or a flag it would reject.

    Raises:
        Problem: all of them at once.
    """
    wrong = [fault for one in config.experiments.values() for fault in _faults(config, one)]
    if wrong:
        raise Problem("MindSpeed-LLM 2.2.0 cannot run what is planned", found="\n           ".join(wrong))


def _faults(config: Config, one: Experiment) -> Iterator[str]:
    asked = [stage for stage, engine in one.engines.items() if engine == ENGINE]
    if asked and one.hardware.mindspeed_llm is None:
        key = f"hardware.{one.hardware.name}.mindspeed_llm"
        yield f"{key}: not given, but experiments.{one.name} has engine {ENGINE} for {', '.join(asked)}"
    for stage in asked:
        for parser, flags in _lines(config, one, stage):
            for fault in facts.faults(parser, commandline.words(flags)):
                yield f"experiments.{one.name}.{stage}, as {fault}"
    if "tokenize" in asked and one.tokenization.pack and not one.tokenization.neat_pack:
        yield (
            f"experiments.{one.name}.tokenize.pack: its files then do not tell how many rows they hold;"
            " set neat_pack too, or leave tokenize.engine out: ours writes the same bytes"
        )


def _lines(config: Config, one: Experiment, stage: str) -> Iterator[tuple[str, training.Flags]]:
    """(parser, flags) of a stage, with names for the paths and without what only the model's files tell."""
    if stage == "tokenize":
        settings = tokenizing.of_dataset(config.datasets[one.dataset], one.tokenization)
        paths = tokenizing.files(input="I", tokenizer="T", output_prefix="P", cache="C")
        yield tokenizing.SCRIPT, {**settings, **paths}
    elif stage == "convert":
        yield "convert_ckpt.py hf", converting.hf_to_mcore(one.layout, qkv_bias=True, load="L", save="S")
        yield (
            "convert_ckpt.py mg",
            converting.mcore_to_hf(one.layout.params_dtype, qkv_bias=True, load="L", save="S"),
        )
    elif stage == "train":
        yield "posttrain_gpt.py", training.of_experiment(one)
    else:
        yield answering.SCRIPT, {**answering.of_experiment(one), **answering.files(tokenizer="T", load="L")}
