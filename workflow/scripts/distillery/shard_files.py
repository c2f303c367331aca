"""Where a dataset's shards and what is made of them alone lie, by the dataset and names of its batches."""

from __future__ import annotations

from collections.abc import Sequence

from distillery import artefacts, shard_names, teachers
from distillery.experiment import Config, Dataset, Tokenization
from distillery.row_selection import RowSelection


def tokenizer_shards(config: Config, model_name: str) -> tuple[list[str], list[str]]:
    """The first shards of a dataset, as many as hold the rows that a model's tokenizer is trained on, and their digests."""
    settings = config.models[model_name].settings["tokenizer"]
    dataset = config.datasets[settings["dataset"]]
    per_shard = dataset.source.settings.get("rows_per_shard", 1)
    count = -(-settings["rows"] // per_shard)
    names = dataset.shards[:count]
    return [artefacts.SHARD.at(dataset=dataset.name, shard=name) for name in names], _digests(dataset, names)


def batches(dataset: Dataset, tokenization: Tokenization) -> list[str]:
    """Names of what one job each tokenizes.

    A shard is whole where its rows are packed, which looks at all of them, and where MindSpeed-LLM reads it.
    """
    divided = tokenization.engine == "mindspore" and not tokenization.pack
    return list(dataset.batches(tokenization.shards, divided))


def digest(dataset: str, batch: str) -> str:
    """What stands for the content of a batch's shards, and of a span's whole shard."""
    return artefacts.DIGEST.at(dataset=dataset, batch=shard_names.undivided(batch))


def shards(dataset: Dataset, batch: str) -> list[str]:
    """The shards of a batch."""
    return [artefacts.SHARD.at(dataset=dataset.name, shard=name) for name in dataset.batch(batch)]


def first_shard(dataset: Dataset) -> str:
    """The path of a dataset's first shard."""
    return artefacts.SHARD.at(dataset=dataset.name, shard=dataset.shards[0])


def first_digest(dataset: Dataset) -> str:
    """What stands for the content of the first shard."""
    return _digests(dataset, dataset.shards[:1])[0]


def _digests(dataset: Dataset, names: Sequence[str]) -> list[str]:
    return [artefacts.DIGEST.at(dataset=dataset.name, batch=dataset.alone[name]) for name in names]


def recognised(dataset: Dataset) -> list[str]:
    """The file that says which handler reads a dataset, where its first rows are to tell it."""
    return [artefacts.HANDLER.at(dataset=dataset.name)] if dataset.is_auto else []


def all_digests(config: Config, tokenization: Tokenization) -> list[str]:
    """What stands for the content of the shards that a tokenized dataset is made of."""
    dataset = config.datasets[tokenization.dataset]
    found = (digest(dataset.name, one) for one in batches(dataset, tokenization))
    return list(dict.fromkeys(found))


def selection(tokenization: Tokenization, made: artefacts.Artefact) -> list[str]:
    """LEFT_OUT, SELECTION or KEPT_QUESTIONS of what is tokenized; none where all rows are."""
    chosen = tokenization.selection
    return [made.at(dataset=chosen.dataset, selection=chosen.name)] if chosen else []


def earlier(chosen: RowSelection) -> list[str]:
    """Questions that the selections from a mix's earlier datasets kept, where rows are compared with them."""
    return [artefacts.KEPT_QUESTIONS.at(dataset=name, selection=one) for name, one in chosen.earlier]


def pass_rates(dataset: Dataset, tokenization: Tokenization) -> list[str]:
    """What became of a teacher's answers, of each shard that is tokenized; none of other datasets."""
    if dataset.source.kind != teachers.KIND:
        return []
    names = dataset.shards[: tokenization.shards]
    return [artefacts.PASS_RATES.at(dataset=dataset.name, shard=name) for name in names]


def all_shards(config: Config, tokenization: Tokenization) -> list[str]:
    """The shards that a tokenized dataset is made of."""
    dataset = config.datasets[tokenization.dataset]
    return [
        artefacts.SHARD.at(dataset=dataset.name, shard=name) for name in dataset.shards[: tokenization.shards]
    ]
