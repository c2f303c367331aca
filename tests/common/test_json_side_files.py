"""Any JSON value at any key of what lies beside data and weights: a right result, or a Problem that names the file."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import FIXTURES

from distillery import digests
from distillery.convert import convert, export, stored_bytes, weight_sources
from distillery.engine.snapshots import RankFiles, Snapshots
from distillery.generate import prompter, weight_kinds
from distillery.problems import Problem
from distillery.tokenize import merge, tokenizer
from distillery.train import tokenized_data, train_files
from distillery.verify import presence, quick_check
from distillery.verify.standing import Product

TRAINED = FIXTURES / "train/unfinished"
HUB = FIXTURES / "convert/msadapter/hf"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
GONE = object()
NAMED = {"checkpoint": "iter_0000008", "metrics": "metrics.jsonl"}
TEMPLATE = {"prompt_type": "qwen_math_r1", "chat_template": "x", "eos_token_id": 1, "stop_token_ids": [1]}


def snapshots(folder: Path) -> object:
    work = folder / "run/work/ea24cfecac8bacd6"
    made = Snapshots(
        work, RankFiles(rank_directory="mp_rank_00", write_model=None, read_model=dict, identify=str), keep=9
    )
    found = made.latest(lambda text: None)
    return made.facts(found) if found else None


def compared(product: Product) -> None:
    list(presence.of_product(product))
    calls, _ = quick_check._checks(product, set())
    for call in calls:
        with suppress(Problem):
            call()


def proven(folder: Path) -> None:
    compared(Product(folder / "manifest.json", "model"))
    stored_bytes.of_manifest(folder).run()


def of_checkpoint(folder: Path) -> None:
    compared(Product(folder / "mcore/manifest.json", "checkpoint"))
    export.template_of(folder / "mcore")
    convert.source_digest(folder / "mcore")
    train_files.weights_identity(folder / "mcore")
    weight_kinds.find(folder / "mcore", folder / "hf")


def of_training(folder: Path) -> None:
    compared(Product(folder / "run/done.json", "training"))
    export.template_of(folder / "run")
    convert.source_digest(folder / "run")
    train_files.weights_identity(folder / "run")
    weight_kinds.find(folder / "run", folder / "hf")


def of_dataset(folder: Path) -> None:
    compared(Product(folder / "tok/data_manifest.json", "dataset"))
    data = tokenized_data.read(folder / "tok/data")
    tokenized_data.check_tokenizer(data, folder / "hf")
    merge.merge([folder / "tok/data", folder / "tok/data"], folder / "joined")


# {file: (what of it is tried, its readers)}; each folder is a copy, in which nothing has a digest
READERS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "tok/data_manifest.json": (TRAINED, of_dataset),
    "mcore/manifest.json": (TRAINED, of_checkpoint),
    "run/work/ea24cfecac8bacd6/iter_0000008/state.json": (TRAINED, snapshots),
    "run/done.json": (TRAINED, of_training),
    "run/work/ea24cfecac8bacd6/key.json": (TRAINED, of_training),
    "tokenizer_config.json": (HUB, tokenizer.load),
    "tokenizer.json": (HUB, tokenizer.load),
    "generation_config.json": (HUB, prompter.own_stops),
    "manifest.json": (HUB, proven),
    "model.safetensors.index.json": (HUB, weight_sources.open_hf),
}


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Every key of a JSON value, of large ones the first, and the first of each list."""
    yield path
    if isinstance(value, dict):
        for key in list(value)[:20]:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def changed(value: Any, path: tuple, to: Any) -> Any:
    if not path:
        return None if to is GONE else to
    value = copy.deepcopy(value)
    below = value
    for key in path[:-1]:
        below = below[key]
    if to is GONE:
        del below[path[-1]]
    else:
        below[path[-1]] = to
    return value


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """A copy of each folder to change files in, and of HUB a whole model."""
    base = tmp_path_factory.mktemp("side files")
    made = {one: Path(shutil.copytree(one, base / one.name)) for one in (TRAINED, HUB)}
    names = [path.name for path in made[HUB].iterdir()]
    entries = digests.entries(made[HUB], names)
    tensors = {"model.norm.weight": "0" * 8}
    (made[HUB] / "manifest.json").write_text(json.dumps({"files": entries, "tensors": tensors}))
    done = {"iteration": 8, "key": "ea24cfecac8bacd6", "payload_digest": "0" * 64, "loss": 1.5}
    done |= {"best": {"iteration": 8, "loss": 1.5}, "template": TEMPLATE}
    done |= {key: f"work/ea24cfecac8bacd6/{name}" for key, name in NAMED.items()}
    (made[TRAINED] / "run/done.json").write_text(json.dumps(done))
    (made[TRAINED] / "run/latest_checkpointed_iteration.txt").write_text("8")
    (made[TRAINED] / "run/iter_0000008").symlink_to("work/ea24cfecac8bacd6/iter_0000008")
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00001.safetensors"}}
    (made[HUB] / "model.safetensors.index.json").write_text(json.dumps(index))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_any_value_at_any_key(folders, name):
    source, reader = READERS[name]
    path = folders[source] / name
    whole = path.read_bytes()
    content = json.loads(whole)

    @settings(max_examples=100)
    @given(place=st.sampled_from(list(places(content))), value=ANYTHING | st.just(GONE))
    def check(place: tuple, value: Any) -> None:
        path.write_text(json.dumps(changed(content, place, value)))
        try:
            reader(folders[source])
        except Problem as problem:
            assert problem.where is not None or problem.found is not None

    try:
        check()
    finally:
        path.write_bytes(whole)
