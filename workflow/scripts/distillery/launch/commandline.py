"""Words of the commands' lines, built from the configuration leaves they stand for and from nothing else.

None is quoted: a rule quotes each where it puts it into a line (`:q`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery import artefacts, lora, schema, set_artefacts, shard_names, stage_inputs
from distillery.experiment import Dataset, Experiment, Generation, Layout, Rope, Tokenization
from distillery.generate import tasks
from distillery.provenance import canonical
from distillery.row_selection import RowSelection
from distillery.task_settings import DRAWN
from distillery.teachers import Teacher


def words(settings: Mapping[str, Any]) -> list[str]:
    """`{"train_iters": 9, "bf16": True}` as `["--train-iters", "9", "--bf16"]`; False and None say nothing."""
    found: list[str] = []
    for key, value in settings.items():
        if value is not None and value is not False:
            found.append(f"--{key.replace('_', '-')}")
            if isinstance(value, str) and (not value or value.startswith("-")):
                found[-1] += f"={value}"  # else it would pass for a flag, or be no word of a line
            elif isinstance(value, tuple):
                found += value  # several words of one flag
            elif value is not True:
                found.append(canonical(value) if isinstance(value, dict) else str(value))
    return found


def tokenize(dataset: Dataset, tokenization: Tokenization, batch: str = "") -> list[str]:
    """How rows of a dataset, or of a batch of it, become conversations, and those become tokens."""
    switches = ("seq_length", "pack", "neat_pack", "append_eod")
    # a default that changes must change the line: it is said
    rare = {
        key: getattr(tokenization, key) for key in ("special_tokens_in_text", "n_subs")
    } | tokenization.rare
    if "enable_thinking" in rare:  # a flag with a value: neither of them is the default
        rare["enable_thinking"] = canonical(rare["enable_thinking"])
    return words(
        {
            "row_span": shard_names.span(batch),
            "handler_name": dataset.handler_name,
            "prompt_type": tokenization.prompt_type,
            "map_keys": None if dataset.is_auto else dataset.map_keys,
            "text_labels": dataset.is_text,
            "hold_out": dataset.hold_out,
            "thoughts": dataset.thoughts
            if dataset.thoughts != schema.default("datasets.*.thoughts")
            else None,
            "max_rejected_share": tokenization.max_rejected_share,
            **{key: getattr(tokenization, key) for key in switches if getattr(tokenization, key)},
            **rare,
        }
    )


def select(dataset: Dataset, chosen: RowSelection) -> list[str]:
    """How rows are read, and which are left out."""
    tokens = dict(chosen.tokens or {})
    tokens.pop("model", None)  # a directory of its own
    if "enable_thinking" in tokens:
        tokens["enable_thinking"] = canonical(tokens["enable_thinking"])
    filters = {key: value for key, value in chosen.filters.items() if key != "scripts"}
    thoughts = dataset.thoughts if dataset.thoughts != schema.default("datasets.*.thoughts") else None
    read = {
        "handler_name": dataset.handler_name,
        "map_keys": None if dataset.is_auto else dataset.map_keys,
        "hold_out": dataset.hold_out,
        "thoughts": thoughts,
    }
    scripts = chosen.filters.get("scripts")
    return words(read | tokens | filters) + (["--scripts", *scripts] if scripts else [])


def overlap(tokenization: Tokenization) -> list[str]:
    """How many words in a row make a question overlap with a problem, where that is said."""
    chosen = tokenization.selection
    return words({"overlap_words": chosen.filters.get("overlap_words")}) if chosen else []


def train(experiment: Experiment) -> list[str]:
    """What decides the trained weights, but for data and initial weights."""
    stage = experiment.train
    # of which the built-in engine has one only
    chosen = {key: value for key, value in stage.flags.items() if key != "context_parallel_size"}
    return words({"seq_length": stage.seq_length, **in_megatrons_words(chosen), **cut(stage.layout)})


def in_megatrons_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of `train` with those of `train.lora` as both engines' flags."""
    chosen = dict(settings)
    if (adapters := lora.of(chosen.pop("lora", None))) is not None:
        chosen |= {"lora_r": adapters.rank, "lora_alpha": adapters.alpha}
        chosen["lora_target_modules"] = adapters.targets
    return chosen


def data(experiment: Experiment) -> list[str]:
    """What training reads: a prefix, or those of a mix with their weights or epochs."""
    parts = experiment.parts
    prefixes = [
        path.removesuffix(artefacts.TOKENIZED_ENDING) for path in stage_inputs.tokenized_parts(experiment)
    ]
    if len(prefixes) == 1:
        return ["--data-path", *prefixes]
    if parts[0].epochs is not None:
        return ["--data-path", *prefixes, "--data-epochs", *(str(part.epochs) for part in parts)]
    pairs = zip((str(part.weight) for part in parts), prefixes, strict=True)
    return ["--data-path", *(word for pair in pairs for word in pair)]


def drawn(experiment: Experiment) -> list[str]:
    """Which rows of a mix a training takes, and how many tokens of each."""
    flags = ("train_iters", "global_batch_size", "seed", "split")
    chosen = {key: experiment.train.flags[key] for key in flags}
    return words({"seq_length": experiment.train.seq_length, **chosen})


def cut(layout: Layout) -> dict[str, Any]:
    """How running weights are cut over ranks: nothing for one rank."""
    found = ranks(layout)
    if layout.num_layer_list:
        found["num_layer_list"] = ",".join(map(str, layout.num_layer_list))
    return found


def ranks(sizes: Layout | Generation) -> dict[str, Any]:
    """Over how many ranks weights are cut: nothing for one rank."""
    found = {
        "tensor_model_parallel_size": sizes.tensor_parallel_size,
        "pipeline_model_parallel_size": sizes.pipeline_parallel_size,
    }
    return {key: size for key, size in found.items() if size > 1}


def convert(layout: Layout) -> list[str]:
    """How converted weights are cut."""
    settings: dict[str, Any] = {
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "params_dtype": layout.params_dtype,
    }
    if layout.num_layer_list:
        settings["num_layer_list"] = ",".join(map(str, layout.num_layer_list))
    return words(settings)


def generate(settings: Generation) -> list[str]:
    """How prompts are rendered and continued."""
    asked = {key: value for key, value in settings.settings.items() if key != "stop_words"}
    chosen = {
        # the tokenizer's own template is another way to render
        "prompt_type": None if asked.get("hf_chat_template") else settings.prompt_type,
        "seq_length": settings.seq_length,
        **asked,
        **ranks(settings),
        "device": settings.device,
        "threads": settings.threads,
    }
    stops = [
        f"--stop-word={word}" for word in settings.settings.get("stop_words", ())
    ]  # a word may begin with "-"
    return [*words(chosen), *stops]


def served(settings: Generation) -> list[str]:
    """The same for a server: who it is, and what it is asked."""
    server, asked = settings.server, settings.settings
    assert server is not None
    own = ("stop_words", "micro_batch_size")  # a server makes its batches itself
    chosen = {
        "prompt_type": None if asked.get("hf_chat_template") else settings.prompt_type,
        "seq_length": settings.seq_length,
        **{key: value for key, value in asked.items() if key not in own},
        "server_engine": server.engine,
        "served_model": server.model,
        "server_args": dict(server.args) or None,
        "endpoint": server.endpoint,
    }
    return [*words(chosen), *(f"--stop-word={word}" for word in asked.get("stop_words", ()))]


def graded(teacher: Teacher) -> list[str]:
    """Which of a teacher's answers become rows, and how."""
    said = teacher.settings
    return words({key: said[key] for key in ("keep", "thoughts")} | dict(said["pass_rate"]))


def sampling(settings: Generation) -> list[str]:
    """What the exported model is drawn with by default: as its answers were, if they were drawn at all."""
    asked = settings.settings
    if asked["task"] is None:
        return []
    task = tasks.Task(asked["task"], **{key: asked[key] for key in DRAWN if key in asked})
    return words({key: value for key, value in task.settings().items() if key in DRAWN})


def named(flag: str, paths: Mapping[str, str]) -> list[str]:
    """A flag that takes NAME=FILE, once for all of them; nothing for none."""
    return [flag, *(f"{name}={path}" for name, path in paths.items())] if paths else []


def sets(experiment: Experiment) -> list[str]:
    """Which problem sets an experiment's summary names."""
    others = set_artefacts.of_further_sets(artefacts.COMPARISON, experiment)
    further = named("--further-sets", others)
    return ["--problem-set", experiment.problems, *further]


def rope(settings: Rope) -> list[str]:
    """Rotary settings that config.json does not have."""
    return words(settings.settings)
