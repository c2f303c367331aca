"""What an experiment's stages read where that depends on other experiments, or on several datasets."""

from __future__ import annotations

from distillery import artefacts, lineage
from distillery.experiment import Config, Experiment, Tokenization


def early_model(config: Config, experiment: Experiment) -> str:
    """A model with the tokenizer and the config.json that an experiment starts from, made as early as can be.

    For a later stage it is the one before's own start, with the rotary settings that it trains.
    """
    before = lineage.origin(experiment.model)
    if before is None:
        return artefacts.MODEL.at(model=experiment.model)
    earlier = config.experiments[before]
    return artefacts.rotated_model(earlier) if earlier.train.rope.settings else early_model(config, earlier)


def counting_model(tokenization: Tokenization) -> list[str]:
    """The model whose tokenizer tells how long rows are, where a selection asks for that."""
    chosen = tokenization.selection
    return [artefacts.MODEL.at(model=chosen.tokens["model"])] if chosen and chosen.tokens else []


def training_data(experiment: Experiment) -> list[str]:
    """The manifests of what training reads: of each dataset, or of the one that a mix was written as."""
    if len(experiment.parts) > 1 and experiment.train.engine == "mindspeed-llm":
        return [artefacts.MIXED.at(experiment=experiment.name)]
    return tokenized_parts(experiment)


def mixed_quality(experiment: Experiment) -> dict[str, str]:
    """The quality card of each dataset of a mix, by its name; none of a single one."""
    parts = experiment.parts if len(experiment.parts) > 1 else ()
    return {part.dataset: artefacts.quality(experiment.alone(part)).path for part in parts}


def tokenized(experiment: Experiment) -> dict[str, str]:
    """The manifest of each dataset, by its name."""
    return {part.dataset: artefacts.tokenized(experiment.alone(part)).path for part in experiment.parts}


def tokenized_parts(experiment: Experiment) -> list[str]:
    """The manifest of each dataset."""
    return list(tokenized(experiment).values())
