"""The configuration as frozen dataclasses; nothing else reads raw YAML.

    config = load(yaml.safe_load(open("config/config.yaml")))
    config.experiments["embedded"].train.weights.name   # 'fp32-tp1-pp1'

Names derived here are directory names: two experiments whose settings agree get the same name, hence
the same files, hence share the jobs that make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillery import schema
from distillery.problems import Problem
from distillery.provenance import digest

LAPTOP = {"device": "CPU", "threads": 2}


@dataclass(frozen=True)
class Source:
    """Where a model, dataset or problem set comes from: a kind (`generator`, `gguf`, ...) and its settings."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Dataset:
    name: str
    source: Source
    handler_name: str
    map_keys: Mapping[str, Any]

    @property
    def shards(self) -> tuple[str, ...]:
        """Stems of the shard files, in OpenR1-Math-220k's naming."""
        total = self.source.settings["shards"]
        return tuple(f"train-{index:05d}-of-{total:05d}" for index in range(total))


@dataclass(frozen=True)
class Hardware:
    name: str
    device: str
    threads: int


@dataclass(frozen=True)
class Layout:
    """How MCore weights are cut: sizes, and layers of each stage where they differ."""

    params_dtype: str
    tensor_parallel_size: int
    pipeline_parallel_size: int
    num_layer_list: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        stages = "-l" + ".".join(map(str, self.num_layer_list)) if self.num_layer_list else ""
        return f"{self.params_dtype}-tp{self.tensor_parallel_size}-pp{self.pipeline_parallel_size}{stages}"


@dataclass(frozen=True)
class Tokenization:
    """A dataset under one model's tokenizer and one template."""

    dataset: str
    model: str
    prompt_type: str
    max_rejected_share: float

    @property
    def name(self) -> str:
        return f"{self.model}-{self.prompt_type}-{digest(vars(self))[:8]}"


@dataclass(frozen=True)
class Generation:
    """What decides the answers of given weights: problems, template, lengths and sampling."""

    problems: str
    prompt_type: str
    seq_length: int
    threads: int
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.problems}-{self.settings['task']}-{digest(vars(self))[:8]}"


@dataclass(frozen=True)
class Experiment:
    name: str
    model: str
    dataset: str
    problems: str
    hardware: Hardware
    prompt_type: str
    seq_length: int
    layout: Layout
    train_layout: Layout
    tokenization: Tokenization
    train: Mapping[str, Any]
    generation: Generation


@dataclass(frozen=True)
class Config:
    models: Mapping[str, Source]
    datasets: Mapping[str, Dataset]
    problem_sets: Mapping[str, Source]
    experiments: Mapping[str, Experiment]


def load(raw: Mapping[str, Any]) -> Config:
    """Validate `raw` and build the selected experiments.

    Raises:
        Problem: listing every fault, each with its key, what was found and what is allowed.
    """
    faults = schema.faults(raw)
    if not faults:
        filled = schema.with_defaults(raw)
        filled["hardware"].setdefault("laptop", LAPTOP)
        faults = _unknown_names(filled)
    if faults:
        raise Problem("\n".join(["the configuration is not valid", *(f"  {fault}" for fault in faults)]))
    return Config(
        models={name: _source(model) for name, model in filled["models"].items()},
        datasets={
            name: Dataset(name, _source(d["source"]), d["handler_name"], d["map_keys"])
            for name, d in filled["datasets"].items()
        },
        problem_sets={name: _source(problems) for name, problems in filled["problem_sets"].items()},
        experiments={
            name: _experiment(name, filled["experiments"][name], filled["hardware"])
            for name in filled.get("run", filled["experiments"])
        },
    )


def _unknown_names(filled: Mapping[str, Any]) -> list[str]:
    """References from one part of the configuration to names that another part does not have."""
    references = [
        (f"experiments.{name}.{key}", section, experiment[key])
        for name, experiment in filled["experiments"].items()
        for key, section in [
            ("model", "models"),
            ("dataset", "datasets"),
            ("problems", "problem_sets"),
            ("hardware", "hardware"),
        ]
    ]
    references += [(f"run.{i}", "experiments", name) for i, name in enumerate(filled.get("run", []))]
    references += [
        (f"models.{name}.random.tokenizer.dataset", "datasets", model["random"]["tokenizer"]["dataset"])
        for name, model in filled["models"].items()
        if "random" in model
    ]
    references += [
        (f"problem_sets.{name}.champ.dataset", "datasets", problems["champ"]["dataset"])
        for name, problems in filled["problem_sets"].items()
        if "champ" in problems
    ]
    return [
        f"{path}: found {name!r}, but {section} has only {', '.join(sorted(filled[section])) or 'nothing'}"
        for path, section, name in references
        if name not in filled[section]
    ]


def _source(one: Mapping[str, Any]) -> Source:
    ((kind, settings),) = one.items()
    return Source(kind, settings)


def _layout(dtype: str, sizes: Mapping[str, Any]) -> Layout:
    layers = sizes.get("num_layer_list")
    return Layout(
        dtype,
        sizes["tensor_parallel_size"],
        sizes["pipeline_parallel_size"],
        tuple(layers) if layers else None,
    )


def _experiment(name: str, e: Mapping[str, Any], hardware: Mapping[str, Any]) -> Experiment:
    layout = _layout(e["params_dtype"], e["layout"])
    train = dict(e["train"])
    train_layout = train.pop("layout", None)
    machine = Hardware(e["hardware"], **hardware[e["hardware"]])
    return Experiment(
        name=name,
        model=e["model"],
        dataset=e["dataset"],
        problems=e["problems"],
        hardware=machine,
        prompt_type=e["prompt_type"],
        seq_length=e["seq_length"],
        layout=layout,
        train_layout=_layout(e["params_dtype"], train_layout) if train_layout else layout,
        tokenization=Tokenization(
            e["dataset"], e["model"], e["prompt_type"], e["tokenize"]["max_rejected_share"]
        ),
        train=train,
        generation=Generation(
            e["problems"], e["prompt_type"], e["seq_length"], machine.threads, e["generate"]
        ),
    )
