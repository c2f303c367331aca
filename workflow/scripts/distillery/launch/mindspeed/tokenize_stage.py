"""Tokenizing by MindSpeed-LLM's preprocess_data.py, shard by shard, into a dataset with our manifest.

Its files are ours byte for byte; what it does not write (which row each document came from, counts, digests) is read
back from them, see `dataset`. It works in a hidden folder beside the prefix, and nothing appears before all is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files as disk
from distillery.experiment import Dataset, Tokenization
from distillery.launch import commandline, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags
from distillery.launch.mindspeed.shape import Flags
from distillery.problems import UsageProblem

if TYPE_CHECKING:
    from distillery.tokenize.row_spans import Recipe

SCRIPT = "preprocess_data.py"
WORKERS = 4
SWITCHES = ("seq_length", "pack", "neat_pack", "append_eod")


def of_dataset(rows: Dataset, tokenization: Tokenization) -> Flags:
    """preprocess_data.py's flags but for the paths."""
    return {
        "workers": WORKERS,
        "log_interval": 1000,
        "tokenizer_type": "PretrainedFromHF",
        "handler_name": rows.handler_name,
        "prompt_type": tokenization.prompt_type,
        "map_keys": dict(rows.map_keys),
        **{key: getattr(tokenization, key) for key in SWITCHES if getattr(tokenization, key)},
    }


def files(*, input: str, tokenizer: str, output_prefix: str, cache: str) -> Flags:
    """Its paths. Without --cache-dir it fills ~/tmp."""
    return {
        "input": input,
        "tokenizer_name_or_path": tokenizer,
        "output_prefix": output_prefix,
        "cache_dir": cache,
    }


def run(request: Request, recipe: Recipe, shards: Sequence[Path], prefix: Path) -> dict[str, Any]:
    """Tokenize parquet `shards` and return the manifest of the dataset `prefix`.

    Args:
        request: how to start it; `worker` holds the flags that the configuration decides.
        recipe: the same settings for what we read of the tokenizer and the template.

    Raises:
        Problem: flags that the reference rejects, a failed run, files that contradict themselves or the shards.
    """
    from distillery.tokenize import merge  # heavy, and no part of a plan

    if odd := [shard for shard in shards if shard.suffix != ".parquet"]:
        raise UsageProblem("not a parquet shard", where="--input", found=odd[0], fix="give parquet files")
    prefix.parent.mkdir(parents=True, exist_ok=True)
    folder = prefix.absolute().with_name(f".{prefix.name}.mindspeed")
    disk.remove(folder)
    folder.mkdir()  # it asks for a folder that is there
    try:
        # one at a time: of a folder it takes the files in the order in which the disk lists them
        parts = [
            _shard(_apart(request, shard) if len(shards) > 1 else request, recipe, shard.absolute(), folder)
            for shard in shards
        ]
        return merge.run(parts, prefix)
    finally:
        disk.remove(folder)


def _apart(request: Request, shard: Path) -> Request:
    """The launch of one of several shards, whose logs and samples stay beside the others'."""
    logs = request.log_dir / shard.stem
    return replace(request, log_dir=logs, samples=request.samples and logs / request.samples.name)


def _shard(request: Request, recipe: Recipe, shard: Path, folder: Path) -> Path:
    """The prefix in `folder` of a shard's dataset."""
    from distillery.launch.mindspeed import adopted_dataset

    part = folder / shard.stem
    paths = files(
        input=str(shard),
        tokenizer=str(recipe.tokenizer.absolute()),
        output_prefix=str(part),
        cache=str(folder / "cache"),
    )
    words = [*request.worker, *commandline.words(paths)]
    accepted_flags.refuse(SCRIPT, words, request.framework)
    script = str((request.directory / SCRIPT).absolute())
    launcher.start(replace(request, worker=(script, *words), expect=adopted_dataset.written(recipe, part)))
    adopted_dataset.adopt(recipe, shard, part)
    return part
