"""A training on several datasets: the same bytes killed or not, each dataset's share recorded, what cannot be mixed refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import here
from train_parts import forget_the_end, result, start, train, wait_for, work

from distillery import json_files
from distillery.engine.batches import split
from distillery.engine.mixture import course
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import merge
from distillery.train import mixed_data, tokenized_data
from distillery.train.written_mix import Drawn

pytestmark = pytest.mark.mindspore
KEPT = ("--split", "90,10,0", "--eval-interval", 20, "--eval-iters", 1, "--keep-checkpoints", 9)


@pytest.fixture(scope="module")
def two(parts: Path, tmp_path_factory) -> list[Path]:
    """Prefixes of two datasets: the 96 rows of `parts`, and those twice."""
    folder = tmp_path_factory.mktemp("two")
    more = folder / "more"
    shutil.copytree(parts / "tok", folder / "copy")
    merge.merge([parts / "tok/data", folder / "copy/data"], more)
    return [parts / "tok/data", more]


def mix(two: list[Path], *weights: float) -> list[object]:
    return ["--data-path", *(word for pair in zip(weights, two, strict=True) for word in pair)]


@pytest.fixture(scope="module")
def mixed(parts, two, tmp_path_factory) -> Path:
    save = tmp_path_factory.mktemp("mixed")
    done = train(parts, save, *mix(two, 0.7, 0.3), *KEPT)
    assert done.returncode == 0, done.stderr
    assert "data: 112 samples of 86 rows: 1.30 epochs" in done.stderr
    assert "more: 48 samples of 173 rows: 0.28 epochs" in done.stderr
    return save


def test_a_mix_resumed_ends_with_the_same_bytes(mixed, parts, two, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(mixed, again, symlinks=True)
    forget_the_end(again, 20)
    done = train(parts, again, *mix(two, 0.7, 0.3), *KEPT)
    assert done.returncode == 0 and "resuming after step 20" in done.stderr, done.stderr
    assert result(again) == result(mixed)


def test_kill_9_of_a_mix_changes_no_byte(mixed, parts, two, tmp_path):
    for step in (6, 23):
        process = start(parts, tmp_path, *mix(two, 0.7, 0.3), *KEPT)
        assert wait_for(process, tmp_path, step)
        process.kill()
        process.communicate()
    done = train(parts, tmp_path, *mix(two, 0.7, 0.3), *KEPT)
    assert done.returncode == 0 and "resuming after step" in done.stderr, done.stderr
    assert result(tmp_path) == result(mixed)


def test_what_was_taken_of_each_is_recorded(mixed):
    done = json.loads((mixed / "done.json").read_text())
    first, second = done["mix"]
    assert (first["dataset"], first["weight"], first["samples"], first["rows"]) == ("data", 0.7, 112, 86)
    assert (second["dataset"], second["held_out"], second["epochs"]) == ("more", 19, round(48 / 173, 4))
    records = [json.loads(line) for line in (mixed / done["metrics"]).read_text().splitlines()]
    steps = [record for record in records if "loss" in record]
    assert all(sum(record["datasets"].values()) == 4 for record in steps)
    assert sum(record["datasets"]["more"] for record in steps) == second["samples"]
    assert first["tokens"] + second["tokens"] == sum(record["tokens"] for record in steps)


def test_another_weight_is_another_run(mixed, two):
    def identity(*weights: float) -> str:
        return mixed_data.identity(mixed_data.read(list(map(str, mix(two, *weights)[1:]))))

    assert json_files.read(work(mixed) / "key.json")["data"] == identity(0.7, 0.3) != identity(0.6, 0.4)


def test_one_dataset_is_the_run_that_it_was(parts):
    found = mixed_data.read([str(parts / "tok/data")])
    assert mixed_data.identity(found) == tokenized_data.read(parts / "tok/data").digest
    assert found.mixture is None


@pytest.mark.parametrize(
    ("words", "epochs"),
    [
        (["a", "b"], None),
        (["0.7", "a", "0.3"], None),
        (["0", "a", "1", "b"], None),
        (["nan", "a", "1", "b"], None),
        (["a", "b"], [1.0]),
    ],
)
def test_what_is_no_mix_is_said(words, epochs):
    with pytest.raises(UsageProblem, match="not a mix") as caught:
        mixed_data.read(words, epochs)
    assert "--data-path 0.7 A 0.3 B" in str(caught.value.fix)


def test_datasets_of_other_templates_are_not_mixed(parts, tmp_path):
    shard = next((parts / "shards").glob("*.parquet"))
    from train_parts import MAP

    made = here(
        "preprocess_data.py",
        "--input",
        shard,
        "--tokenizer-name-or-path",
        parts / "hf",
        "--output-prefix",
        tmp_path / "other",
        "--handler-name",
        "SharegptStyleInstructionHandler",
        "--prompt-type",
        "qwen",
        "--map-keys",
        MAP,
    )
    assert made.returncode == 0, made.stderr
    with pytest.raises(Problem, match="differ in template cannot be mixed"):
        mixed_data.read(["1", str(parts / "tok/data"), "1", str(tmp_path / "other")])


def test_an_id_without_a_row_is_named_in_its_dataset(two):
    found = mixed_data.read(["1", str(two[0]), "1", str(two[1])])
    assert found.describe(96 + 5) == {"dataset": "more", "row": found.parts[1].describe(5)}
    with pytest.raises(Problem, match="has no row"):
        tokenized_data.check_ids(found, 3)


def test_the_written_mix_has_the_rows_that_the_engine_takes(two, tmp_path):
    words = list(map(str, mix(two, 0.7, 0.3)))
    drawn = [
        "--seq-length",
        128,
        "--train-iters",
        10,
        "--global-batch-size",
        4,
        "--seed",
        1234,
        "--split",
        "90,10,0",
    ]
    done = here("tokenize_mix.py", *words, *drawn, "--output-prefix", tmp_path / "mix")
    assert done.returncode == 0, done.stderr
    found, whole = tokenized_data.read(tmp_path / "mix"), mixed_data.read(words[1:])
    way = course(whole.rows, whole.mixture, Drawn((90, 10, 0), 10, 4, 1234))
    taken = [*way.sequence, *way.held_out[0], *way.held_out[1]]
    assert (found.manifest["training"], found.manifest["held_out"]) == (40, len(taken) - 40)
    for stored, mixed_rows in zip(vars(found.rows).values(), vars(whole.rows).values(), strict=True):
        assert [row.tolist() for row in stored] == [mixed_rows[int(number)].tolist() for number in taken]
    # Megatron cuts documents in these numbers where they were written
    assert split(len(taken), (40, len(taken) - 40, 0))[:2] == (range(40), range(40, len(taken)))
    assert found.manifest["tokens"] == sum(len(row) for row in found.rows.input_ids)
    named = [found.describe(number)["dataset"] for number in range(40)]
    assert [named.count(one["dataset"]) for one in found.manifest["mix"]] == [28, 12]
