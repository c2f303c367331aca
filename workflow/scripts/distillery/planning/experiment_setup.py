"""An experiment's set-up: its settings, and what is known of its model, data and machine before anything is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from distillery import lineage, teachers
from distillery.architecture import Architecture
from distillery.experiment import Config, Dataset, Experiment, ProblemSet, Source, Stage
from distillery.planning import known_models
from distillery.planning.known_models import Known, Tokenizer
from distillery.teachers import Teacher


@dataclass(frozen=True)
class Setup:
    """One experiment with all that checks and estimates ask about it. What is not known before fetching is None."""

    experiment: Experiment
    dataset: Dataset
    model: Source
    problems: Mapping[str, ProblemSet]  # by their names, those of the experiment
    known: Known | None
    teacher: Teacher | None = None  # of the dataset
    taught_by: Setup | None = None  # the experiment whose weights are its
    questions: int | None = None  # problems of its set
    others: tuple[Setup, ...] = ()  # the same of each further dataset of a mix

    @property
    def architecture(self) -> Architecture | None:
        """The model's sizes."""
        return self.known.architecture if self.known else None

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's special tokens."""
        return self.known.tokenizer if self.known else None

    @property
    def train(self) -> Mapping[str, Any]:
        """The training's flags, by their names in the configuration."""
        return self.experiment.train.flags

    @property
    def generate(self) -> Mapping[str, Any]:
        """The answers' flags, by their names in the configuration."""
        return self.experiment.generate.flags

    def stages(self) -> tuple[tuple[str, Stage], ...]:
        """The stages that run on devices, with their keys in the configuration."""
        return ("train", self.experiment.train), ("generate", self.experiment.generate)

    def world(self, stage: Stage) -> int:
        """Devices that take part in a stage."""
        return stage.npus_per_node * self.experiment.hardware.nodes

    def model_parallel(self, stage: Stage) -> int:
        """Devices that hold one copy of the model."""
        layout = stage.layout
        context = self.train["context_parallel_size"] if stage is self.experiment.train else 1
        return layout.tensor_parallel_size * layout.pipeline_parallel_size * context

    @property
    def data_parallel(self) -> int:
        """Copies of the model that train together, at least one."""
        stage = self.experiment.train
        return max(1, self.world(stage) // self.model_parallel(stage))

    @property
    def microbatches(self) -> int:
        """Micro-batches of one replica in one step, at least one."""
        return max(
            1, self.train["global_batch_size"] // (self.train["micro_batch_size"] * self.data_parallel)
        )

    @property
    def shards(self) -> int:
        """Shards that are tokenized."""
        count = len(self.dataset.shards)
        return min(count, self.experiment.tokenize.shards or count)

    @property
    def rows(self) -> int | None:
        """Rows that are tokenized, of all datasets of a mix, None where only the files know."""
        found = [self.own_rows, *(one.own_rows for one in self.others)]
        return None if None in found else sum(filter(None, found))

    @property
    def own_rows(self) -> int | None:
        """Those of the (first) dataset."""
        settings = self.dataset.source.settings
        if "rows_per_shard" in settings:
            return self.shards * settings["rows_per_shard"]
        rows = settings.get("rows")
        return None if rows is None else rows * self.shards // len(self.dataset.shards)

    @property
    def tokens(self) -> float | None:
        """Tokens of the own rows: stated, or at most the length at which rows are left out; None where not known."""
        mean = self.dataset.source.settings.get("tokens_per_row")
        limit = self.experiment.tokenize.seq_length
        if self.own_rows is None or (mean is None and limit is None):
            return None
        return self.own_rows * min(filter(None, (mean, limit)))

    def problem_rows(self, name: str) -> int | None:
        """Problems of a set that are answered, None where only the file knows."""
        return _rows(self.problems[name])

    @property
    def taught(self) -> int | None:
        """Problems that the teacher is asked, None where only the file knows."""
        most = self.teacher.most if self.teacher else None
        return min(filter(None, (self.questions, most)), default=None)

    @property
    def epochs(self) -> float | None:
        """How often training sees each row; None where rows, or for packed ones their mean length, are not known."""
        made, mean = self.experiment.tokenize, self.dataset.source.settings.get("tokens_per_row")
        if not self.rows or (made.pack and not (mean and made.seq_length)):
            return None
        # a packed sequence holds as many rows as their mean length lets it
        held = max(1, made.seq_length / mean) if made.pack else 1
        return self.train["train_iters"] * self.train["global_batch_size"] * held / self.rows

    @property
    def mix(self) -> str | None:
        """How often each dataset's rows are seen and how many tokens they have, in words; None for one dataset."""
        if not self.others:
            return None
        samples = self.train["train_iters"] * self.train["global_batch_size"]
        parts = list(zip((self, *self.others), self.experiment.parts, strict=True))
        whole = sum(part.weight or part.epochs * (one.own_rows or 0) for one, part in parts)
        said = []
        for one, part in parts:
            text, rows = part.dataset, one.own_rows
            text += f" weight {part.weight:g}" if part.weight else f" epochs {part.epochs:g}"
            if rows and whole and (part.weight or self.rows):
                share = (part.weight or part.epochs * rows) / whole
                text += f": {samples * share / rows:.3g} epochs of {rows} rows"
            said.append(text + (f", at most {one.tokens:.3g} tokens" if one.tokens else ""))
        return "; ".join(said)

    def key(self, path: str) -> str:
        """The path of an experiment's key in the whole configuration."""
        return f"experiments.{self.experiment.name}.{path}"

    def keys(self, *paths: str) -> tuple[str, ...]:
        """The paths of several of an experiment's keys."""
        return tuple(map(self.key, paths))

    @property
    def model_key(self) -> str:
        """The model's path in the whole configuration."""
        if self.model.kind == lineage.KIND:
            return self.key("model")
        return f"models.{self.experiment.model}"

    @property
    def dataset_key(self) -> str:
        """The dataset's path in the whole configuration."""
        return f"datasets.{self.dataset.name}"

    @property
    def hardware_key(self) -> str:
        """The machine's path in the whole configuration."""
        return f"hardware.{self.experiment.hardware.name}"

    def says(self, path: str) -> bool:
        """Whether the experiment's own keys hold this dotted one, defaults aside."""
        found: Any = self.experiment.written
        for key in path.split("."):
            if not isinstance(found, Mapping) or key not in found:
                return False
            found = found[key]
        return True

    def stage_key(self, stage: str, key: str) -> str:
        """The key that a stage's value comes from: its own where it has one, else the experiment's.

        Answers take layout and rope from training where they have none of their own.
        """
        if key in self.experiment.settings.get(stage, {}):
            return self.key(f"{stage}.{key}")
        if stage == "generate" and key in ("layout", "rope"):
            return self.stage_key("train", key)
        return self.key(key)

    def set_key(self, problems: str, key: str, stage: str = "generate") -> str:
        """The key that one of `generate.sets`' settings comes from for a problem set: its own, or the stage's."""
        own = f"generate.sets.{problems}.{key}"
        return self.key(own if stage == "generate" and self.says(own) else f"{stage}.{key}")

    def devices_key(self, stage: str) -> str:
        """The key that a stage's number of devices comes from: its own where it has one, else the machine's."""
        if "npus_per_node" in self.experiment.settings.get(stage, {}):
            return self.key(f"{stage}.npus_per_node")
        return f"{self.hardware_key}.npus_per_node"


def gather(config: Config, name: str) -> Setup:
    """The set-up of one experiment.

    Raises:
        Problem: a model whose sizes do not fit together.
    """
    experiment = config.experiments[name]
    first, *others = [_of_dataset(config, experiment.alone(part)) for part in experiment.parts]
    return replace(first, experiment=experiment, others=tuple(others))


def _of_dataset(config: Config, experiment: Experiment) -> Setup:
    teacher = teachers.of(config, experiment.dataset)
    return Setup(
        experiment,
        config.datasets[experiment.dataset],
        config.models[experiment.model],
        {name: config.problem_sets[name] for name in experiment.asked},
        known(config, experiment),
        teacher,
        gather(config, teacher.experiment.name) if teacher and teacher.experiment else None,
        _rows(config.problem_sets[teacher.problems]) if teacher else None,
    )


def known(config: Config, experiment: Experiment) -> Known | None:
    """What is known of the model that an experiment starts from: of a later stage's, what the first one's is as trained since.

    Raises:
        Problem: as known_models.of.
    """
    before = lineage.origin(experiment.model)
    if before is None:
        return known_models.of(config.models[experiment.model])
    earlier = config.experiments[before]
    found = known(config, earlier)
    return found and known_models.rotated(found, earlier.train.rope)


def _rows(problems: ProblemSet) -> int | None:
    if problems.source.kind == "generator":
        return problems.source.settings["rows"]
    return problems.how.get("sample", problems.how).get("rows")
