"""Every id that training or answering looks up has a row in the embedding: held against it before the first step."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train_parts import command, flags

from distillery import json_files
from distillery.engine.batches import Rows, first_unlearnt
from distillery.generate import batch
from distillery.generate.prompter import by_prompt_type
from distillery.marks import IGNORED
from distillery.problems import Problem
from distillery.tokenize import indexed
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.train import tokenized_data
from distillery.train.tokenized_data import Sequences


@pytest.fixture(scope="module")
def parts(parts, tmp_path_factory) -> Path:
    """A copy, whose ids these tests change and restore."""
    return shutil.copytree(parts, tmp_path_factory.mktemp("changed") / "parts")


@given(
    sequences=st.lists(
        st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(-2, 9), max_size=5), max_size=5
    ),
    but=st.sampled_from([None, -100, 7]),
)
def test_the_first_id_outside_is_found_where_it_is(tmp_path_factory, sequences, but):
    folder = tmp_path_factory.mktemp("index")
    made = folder / "a.bin", folder / "a.idx"
    np.array([token for one in sequences for token in one], "<i4").tofile(made[0])
    indexed.Index(np.array([len(one) for one in sequences], np.int32), np.arange(len(sequences) + 1)).write(
        made[1]
    )
    places = [
        (number, position, token)
        for number, one in enumerate(sequences)
        for position, token in enumerate(one)
        if not 0 <= token < 8 and token != but
    ]
    assert Sequences(*made).first_outside(8, but) == (places[0] if places else None)


@pytest.mark.parametrize(
    ("field", "token"),
    [("labels", 20_000_000), ("labels", 500_000_000), ("labels", -5), ("input_ids", 400), ("input_ids", -5)],
)
def test_training_names_the_token_that_the_model_lacks(parts, tmp_path, field, token):
    """Before: 20,000,000 trained on with exit 0, 500,000,000 ended in SIGSEGV without a word."""
    data = parts / "tok" / f"data_packed_{field}_document.bin"
    whole = data.read_bytes()
    lengths = indexed.read(data, data.with_suffix(".idx")).lengths
    ids = np.frombuffer(whole, "<i4").copy()
    ids[lengths[0] + 3] = token
    data.write_bytes(ids.tobytes())
    dataset = DatasetFiles(parts / "tok/data")
    manifest = json_files.read(dataset.manifest)
    dataset.describe(manifest)  # as if the data had been made so
    try:
        done = command("posttrain_gpt.py", *flags(parts, tmp_path))
    finally:
        data.write_bytes(whole)
        dataset.describe(manifest)
    assert done.returncode == 1, done.stderr
    assert f"{data}, sequence 1 " in done.stderr and "position 3" in done.stderr
    assert f"id {token}\n" in done.stderr and "wanted: 0 to 399" in done.stderr
    assert "train-00000-of-00001.parquet" in done.stderr  # the row that it came from
    assert not (tmp_path / "done.json").exists()


def test_data_without_a_label_are_refused(parts):
    """Before: every step had a loss of 0, and the weights came out as they went in, with exit 0."""
    dataset = DatasetFiles(parts / "tok/data")
    labels, manifest = dataset.bin(tokenized_data.PACKED_STEMS[2]), json_files.read(dataset.manifest)
    whole = labels.read_bytes()
    labels.write_bytes(np.full(len(whole) // 4, IGNORED, "<i4").tobytes())
    dataset.describe(manifest)
    try:
        with pytest.raises(Problem, match="(?s)nothing of the data is learnt.*labels_document.bin"):
            tokenized_data.check_ids(tokenized_data.read(parts / "tok/data"), 400)
    finally:
        labels.write_bytes(whole)
        dataset.describe(manifest)
    tokenized_data.check_ids(tokenized_data.read(parts / "tok/data"), 400)


def test_answering_names_the_token_that_the_model_lacks(parts):
    """Before: it was read as a vector of zeros, and answered."""
    voice = by_prompt_type(parts / "hf", "qwen_math_r1", None)
    limits = batch.Limits(128, 128, 8, vocab_size=300)
    prompts = [batch.Prompt("p1", ({"role": "user", "content": "What is 2+2?"},))]
    with pytest.raises(Problem, match="no row in the model's embedding") as caught:
        batch.ask(prompts, voice, batch.Task("greedy"), 0, limits)
    assert "prompt p1, token 0" in str(caught.value) and "id 39" in str(caught.value)
    assert batch.ask(prompts, voice, batch.Task("greedy"), 0, batch.Limits(128, 128, 8, vocab_size=400))


def test_a_step_whose_answers_are_all_cut_off_is_refused_before_training(parts, tmp_path):
    """Its loss was 0.0000, and counted."""
    done = command("posttrain_gpt.py", *flags(parts, tmp_path, "--seq-length", 4, "--cut-max-seqlen"))
    assert done.returncode == 1, done.stderr
    assert "a step has nothing to learn" in done.stderr and "step 1, " in done.stderr
    assert "first 4 tokens" in done.stderr and "raise --seq-length" in done.stderr
    assert not (tmp_path / "work").exists() and "loss" not in done.stdout


@pytest.mark.parametrize("packing", ["none", "neat", "reset"])
def test_the_first_step_without_a_label_is_found(packing):
    """Of rows whose labels begin at 1, at 5, or nowhere, cut to 4 tokens."""
    learnt, late, never = [IGNORED, 7, 7, 7, 7, 7], [IGNORED] * 5 + [7], [IGNORED] * 6
    rows = Rows(
        [np.full(6, 3, np.int32)] * 3,
        [np.array(one, np.int32) for one in (learnt, late, never)],
        [np.ones(6, np.int32)] * 3,
    )
    chosen = SimpleNamespace(
        global_batch_size=2, seq_length=4, packing=packing, cut_plainly=True, eos_token_id=9
    )
    assert first_unlearnt(rows, np.array([0, 1, 2, 0]), chosen) is None
    assert first_unlearnt(rows, np.array([0, 1, 1, 2, 0, 0]), chosen) == 2
    chosen.seq_length = 6
    assert first_unlearnt(rows, np.array([0, 1, 1, 2, 2, 2]), chosen) == 3
