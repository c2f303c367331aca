"""Tokenizing by MindSpeed-LLM's preprocess_data.py, shard by shard, into a dataset with our manifest.

Its files are ours byte for byte; what it does not write (which row each document came from, counts, digests) is read
back from them, see `dataset`. It works in a hidden folder beside the prefix, and nothing appears before all is whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files as disk
from distillery import json_files, shard_names
from distillery.dataset import PLAIN_TEXT
from distillery.experiment import Dataset, Tokenization
from distillery.launch import commandline, launch_request, launcher
from distillery.launch.launch_request import Request
from distillery.launch.mindspeed import accepted_flags
from distillery.launch.mindspeed.shape import Flags
from distillery.problems import Problem
from distillery.source_files import PACKED

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
        # what is to be recognised comes in a file
        **({} if rows.is_auto else {"handler_name": rows.handler_name, "map_keys": dict(rows.map_keys)}),
        "prompt_type": tokenization.prompt_type,
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


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Tokenize the shards of tokenize_mindspeed.py's flags and return the dataset's manifest.

    Raises:
        Problem: rows of plain text, flags that the reference rejects, a failed run, files that contradict themselves or the shards.
    """
    from distillery.tokenize import merge  # heavy, and no part of a plan

    args.worker = [*args.worker, *_recognised(args.handler_file)]
    request, recipe = launch_request.from_args(args, args.worker), _recipe(args)
    shards, prefix = args.input, args.output_prefix
    with disk.scratch(prefix) as folder:
        # one at a time: of a folder it takes the files in the order in which the disk lists them
        parts = [
            _shard(_apart(request, shard) if len(shards) > 1 else request, recipe, shard.absolute(), folder)
            for shard in shards
        ]
        return merge.merge(parts, prefix)


def _recognised(found: Path | None) -> list[str]:
    """The reference's flags for the handler that tokenize_recognise.py found.

    Raises:
        Problem: plain text.
    """
    if found is None:
        return []
    handler = json_files.read(found)
    if handler["handler_name"] == PLAIN_TEXT:
        raise Problem(
            "MindSpeed-LLM makes no labels of plain text",
            where=found,
            found=handler["said"],
            wanted="rows of conversations",
            fix="leave tokenize.engine out",
        )
    return commandline.words({key: handler[key] for key in ("handler_name", "map_keys")})


def _recipe(args: argparse.Namespace) -> Recipe:
    """What the worker's flags say of the tokens, for what we read of them; the reference's parser judges the rest."""
    from distillery.tokenize.documents import Rules
    from distillery.tokenize.row_spans import Recipe

    reader = argparse.ArgumentParser(allow_abbrev=False)
    reader.add_argument("--handler-name", required=True)
    reader.add_argument("--prompt-type")
    reader.add_argument("--map-keys", type=json.loads)
    reader.add_argument("--seq-length", type=int)
    for switch in ("--pack", "--neat-pack", "--append-eod"):
        reader.add_argument(switch, action="store_true")
    said, _ = reader.parse_known_args(args.worker)
    rules = Rules(**{key: getattr(said, key) for key in SWITCHES})
    return Recipe(
        tokenizer=args.tokenizer_name_or_path,
        handler_name=said.handler_name,
        prompt_type=said.prompt_type,
        map_keys=said.map_keys,
        rules=rules,
    )


def _apart(request: Request, shard: Path) -> Request:
    """The launch of one of several shards, whose logs and samples stay beside the others'."""
    logs = request.log_dir / shard_names.stem(shard.name)
    return replace(request, log_dir=logs, samples=request.samples and logs / request.samples.name)


def _unpacked(shard: Path, folder: Path) -> Path:
    """The shard as the reference's reader takes it: what packs a text is taken off, beside its dataset."""
    if not shard.name.endswith(PACKED):
        return shard
    from distillery.tokenize import text_readers

    plain = folder / shard.stem
    with text_readers.opened(shard) as stream, plain.open("wb") as made:
        shutil.copyfileobj(stream, made, 1 << 20)
    return plain


def _shard(request: Request, recipe: Recipe, shard: Path, folder: Path) -> Path:
    """The prefix in `folder` of a shard's dataset."""
    from distillery.launch.mindspeed import adopted_dataset

    part = folder / shard_names.stem(shard.name)
    paths = files(
        input=str(_unpacked(shard, folder)),
        tokenizer=str(recipe.tokenizer.absolute()),
        output_prefix=str(part),
        cache=str(folder / "cache"),
    )
    words = [*request.worker, *commandline.words(paths)]
    accepted_flags.refuse(SCRIPT, words, request.framework, request.version)
    script = str((request.directory / SCRIPT).absolute())
    launcher.start(replace(request, worker=(script, *words), expect=adopted_dataset.written(recipe, part)))
    adopted_dataset.adopt(recipe, shard, part, request.version)
    return part
