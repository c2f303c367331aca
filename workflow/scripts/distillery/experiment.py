"""What a configuration names, as frozen dataclasses: sources, layouts and experiments.

Names derived here are directory names: two experiments whose settings agree get the same name, hence
the same files, hence share the jobs that make them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from distillery import schema
from distillery.dataset import Dataset, Source
from distillery.hardware import Hardware
from distillery.provenance import digest
from distillery.row_selection import RowSelection
from distillery.servers import Server

RARE = ("overlong", "strict", "special_tokens_in_text", "enable_thinking", "n_subs")  # of a Tokenization


@dataclass(frozen=True)
class ProblemSet:
    """A source of problems, and `how`: which of its rows are problems, and what their columns are made of."""

    source: Source
    how: Mapping[str, Any]


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
class Rope:
    """Rotary settings that config.json does not have; None leaves config.json's own."""

    rotary_base: float | None = None
    max_position_embeddings: int | None = None
    override: bool = False

    @property
    def settings(self) -> dict[str, float | int]:
        """Those that replace config.json's."""
        return {
            key: getattr(self, key)
            for key in ("rotary_base", "max_position_embeddings")
            if getattr(self, key) is not None
        }


@dataclass(frozen=True)
class Stage:
    """What `train` or `generate` runs with: the experiment's settings, or its own where it overrides them."""

    layout: Layout
    prompt_type: str
    seq_length: int
    rope: Rope
    npus_per_node: int
    engine: str
    flags: Mapping[str, Any] = field(default_factory=dict)  # the stage's other keys, its command's flags


@dataclass(frozen=True)
class Tokenization:
    """A dataset under one model's tokenizer and one template.

    `seq_length` None keeps rows of any length; `shards` None takes all of them.
    """

    dataset: str
    model: str
    prompt_type: str
    max_rejected_share: float
    seq_length: int | None
    shards: int | None = None
    pack: bool = schema.default("experiments.*.tokenize.pack")
    neat_pack: bool = schema.default("experiments.*.tokenize.neat_pack")
    append_eod: bool = schema.default("experiments.*.tokenize.append_eod")
    engine: str = schema.default("experiments.*.tokenize.engine")
    overlong: str | None = None
    strict: bool = schema.default("experiments.*.tokenize.strict")
    special_tokens_in_text: str = schema.default("experiments.*.tokenize.special_tokens_in_text")
    enable_thinking: bool | None = None
    n_subs: int = schema.default("experiments.*.tokenize.n_subs")
    selection: RowSelection | None = None

    @property
    def rare(self) -> dict[str, Any]:
        """Choices that most configurations leave alone, where this one does not."""
        return {key: getattr(self, key) for key in RARE if getattr(self, key) != getattr(Tokenization, key)}

    @property
    def name(self) -> str:
        # both engines write the same bytes; ours has no part in the name
        silent = (*RARE, "selection", "engine") if self.engine == "mindspore" else (*RARE, "selection")
        chosen = {key: value for key, value in vars(self).items() if key not in silent} | self.rare
        if self.selection:
            chosen["selection"] = self.selection.name
        return f"{self.model}-{self.prompt_type}-{digest(chosen)[:8]}"


@dataclass(frozen=True)
class Part:
    """A dataset of an experiment, and its share of the samples where there are several: a weight, or epochs."""

    tokenize: Tokenization
    weight: float | None = None
    epochs: float | None = None

    @property
    def dataset(self) -> str:
        return self.tokenize.dataset


@dataclass(frozen=True)
class Conversion:
    """What the original weights are converted to, and the engine that converts, both ways."""

    layout: Layout
    engine: str

    @property
    def name(self) -> str:
        """The directory's: the layout's, and the engine's where it is not ours."""
        return self.layout.name if self.engine == "mindspore" else f"{self.layout.name}-{self.engine}"


@dataclass(frozen=True)
class Generation:
    """What decides the answers of given weights: problems, template, lengths, sampling, how sums are cut, and who answers.

    Without a server it is the built-in engine. Template and length are None where they are a server's own.
    """

    problems: str
    prompt_type: str | None
    seq_length: int | None
    device: str
    threads: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    settings: Mapping[str, Any]
    server: Server | None = None

    @property
    def name(self) -> str:
        decides = {key: value for key, value in vars(self).items() if key != "server"}
        if self.server:
            decides["server"] = self.server.deciding
        return f"{self.problems}-{self.settings['task']}-{digest(decides)[:8]}"


@dataclass(frozen=True)
class Asked:
    """How both models answer one problem set."""

    tuned: Generation
    base: Generation  # the same, within the original weights' context


@dataclass(frozen=True)
class Experiment:
    """One experiment of the configuration: what it is made of, and the settings of each stage."""

    name: str
    model: str  # of its start: one under `models`, or lineage.started_from of an experiment
    dataset: str  # the first, where several are mixed
    hardware: Hardware
    prompt_type: str
    seq_length: int
    tokenize: Tokenization  # of the first dataset
    parts: tuple[Part, ...]  # all datasets
    convert: Conversion
    train: Stage
    generate: Stage
    asked: Mapping[str, Asked]  # by the problem set's name, in the order of the configuration
    accept: tuple[str, ...]
    settings: Mapping[str, Any]  # defaults filled in
    written: Mapping[str, Any]  # without them

    @property
    def problems(self) -> str:
        """The first problem set, whose summary is the experiment's."""
        return next(iter(self.asked))

    @property
    def tuned_generation(self) -> Generation:
        """Of the first problem set."""
        return self.asked[self.problems].tuned

    @property
    def base_generation(self) -> Generation:
        """Of the first problem set."""
        return self.asked[self.problems].base

    def alone(self, part: Part) -> Experiment:
        """The same of one of its datasets."""
        return replace(self, dataset=part.dataset, tokenize=part.tokenize, parts=(part,))

    @property
    def engines(self) -> dict[str, str]:
        """Who runs each stage, by the stage's key in the configuration."""
        return {
            "tokenize": self.tokenize.engine,
            "convert": self.convert.engine,
            "train": self.train.engine,
            "generate": self.generate.engine,
        }


@dataclass(frozen=True)
class Config:
    """The whole configuration, checked: its sources, and the selected experiments by name."""

    models: Mapping[str, Source]
    datasets: Mapping[str, Dataset]
    problem_sets: Mapping[str, ProblemSet]
    experiments: Mapping[str, Experiment]
    sweeps: Mapping[str, tuple[str, ...]]  # names of the experiments that each sweep expands to
    servers: Mapping[str, Server] = field(default_factory=dict)

    def siblings(self, experiment: str) -> list[str]:
        """The selected experiments of the sweep that this one belongs to; none if it belongs to none."""
        sweep = next((names for names in self.sweeps.values() if experiment in names), ())
        return [name for name in sweep if name in self.experiments]

    offline: bool = False
