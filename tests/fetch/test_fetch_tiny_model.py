"""The seeded tiny Qwen2: transformers loads it, its ids are the tokenizer's, its bytes are the seed's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import SCRIPTS
from safetensors.numpy import load_file

from distillery import files, json_files
from distillery.fetch import openr1, synthetic, tiny_model, tiny_tokenizer
from distillery.problems import Problem, UsageProblem


def make_model(
    output: Path, shards: list[Path], *flags: str, **environment: str
) -> subprocess.CompletedProcess:
    command = [
        sys.executable,
        str(SCRIPTS / "fetch_generated_model.py"),
        "--seed",
        "5",
        "--output-dir",
        str(output),
    ]
    command += ["--tokenizer-rows", "300", "--tokenizer-shards", *map(str, shards), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("shards")
    for number in range(2):
        path = folder / f"train-0000{number}-of-00002.parquet"
        openr1.write(synthetic.shard_rows(0, number, 200), openr1.SHARD_SCHEMA, path)
    return sorted(folder.glob("*.parquet"))


@pytest.fixture(scope="module")
def model(tmp_path_factory, shards) -> Path:
    output = tmp_path_factory.mktemp("models") / "tiny"
    done = make_model(output, shards, RAYON_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.slow
def test_transformers_loads_it_with_our_weights(model):
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    state = loaded.state_dict()
    for name, tensor in load_file(model / "model.safetensors").items():
        assert np.array_equal(state[name].numpy(), tensor), name
    assert state["lm_head.weight"].data_ptr() == state["model.embed_tokens.weight"].data_ptr()
    assert loaded.num_parameters() == 252_768  # the number the module's docstring gives
    assert loaded.config.rope_parameters["rope_theta"] == 500.0
    assert loaded(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, 512)


@pytest.mark.slow
def test_transformers_tokenizes_as_the_trained_tokenizer(model):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer

    ours, theirs = Tokenizer.from_file(str(model / "tokenizer.json")), AutoTokenizer.from_pretrained(model)
    texts = [
        theirs.apply_chat_template(row["messages"], tokenize=False) for row in synthetic.shard_rows(9, 0, 40)
    ]
    for text in [*texts, "<|im_start|>user\nÅngström 12345\r\n  don't 🙂<|im_end|>"]:
        ids = theirs(text)["input_ids"]
        assert ids == ours.encode(text).ids
        assert theirs.decode(ids) == ours.normalizer.normalize_str(text)
    # one digit is one token, special tokens come last, and rows fit the experiment's 128
    assert len(theirs.tokenize("12345")) == 5
    assert theirs.convert_tokens_to_ids(list(tiny_tokenizer.SPECIAL_TOKENS)) == [*range(len(theirs))][-3:]
    assert max(len(theirs(text)["input_ids"]) for text in texts) < 128


@pytest.mark.slow
def test_same_bytes_in_another_process_with_other_threads(model, shards, tmp_path):
    done = make_model(tmp_path / "again", shards, RAYON_NUM_THREADS="4", TOKENIZERS_PARALLELISM="true")
    assert done.returncode == 0, done.stderr
    manifests = [json_files.read(directory / "manifest.json") for directory in (model, tmp_path / "again")]
    assert manifests[0] == manifests[1]
    for entry in manifests[0]["files"]:
        path = tmp_path / "again" / entry["name"]
        assert (path.stat().st_size, files.sha256(path)) == (entry["bytes"], entry["sha256"])
    names = {entry["name"] for entry in manifests[0]["files"]} | {"manifest.json", ".manifest.json.sha256"}
    assert names == {path.name for path in model.iterdir()}


def test_another_seed_changes_every_matrix_and_nothing_else():
    config = tiny_model.config({}, 512, 0)
    one, two = tiny_model.weights(config, 1), tiny_model.weights(config, 2)
    assert {name for name in one if not np.array_equal(one[name], two[name])} == {
        name for name, tensor in one.items() if tensor.ndim == 2
    }
    matrix = one["model.layers.0.mlp.up_proj.weight"]
    assert abs(matrix.std() - 0.06) < 0.002 and abs(matrix.mean()) < 0.002


@pytest.mark.slow
@pytest.mark.parametrize("tie", [True, False])
def test_any_shape_is_what_transformers_expects(tie):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = tiny_model.config(
        {
            "hidden_size": 48,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "num_hidden_layers": 3,
            "intermediate_size": 40,
            "tie_word_embeddings": tie,
        },
        300,
        0,
    )
    expected = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config)).state_dict()
    if tie:
        del expected["lm_head.weight"]
    assert tiny_model.shapes(config) == {name: tuple(tensor.shape) for name, tensor in expected.items()}


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"hiden_size": 96}, "unknown key"),
        ({"model_type": "llama"}, "unknown key"),
        ({"hidden_size": "96"}, "wrong type"),
        ({"num_hidden_layers": True}, "wrong type"),
        ({"num_hidden_layers": 0}, "not positive"),
        ({"hidden_size": 90}, "no multiple"),
        ({"num_key_value_heads": 3}, "no multiple"),
        ({"hidden_size": 12}, "even head size"),
    ],
)
def test_wrong_configs_are_taught(overrides, message):
    with pytest.raises(UsageProblem, match=message):
        tiny_model.config(overrides, 512, 0)


@pytest.mark.slow
def test_wrong_usage_leaves_nothing(shards, tmp_path):
    for flags, code, message in [
        (["--vocab-size", "200"], 2, "wanted a whole number from 259"),
        (["--config-json", "{"], 2, "not JSON"),
        (["--config-json", json.dumps({"layers": 3})], 2, "num_hidden_layers"),
        (["--tokenizer-rows", "401"], 1, "400 rows"),
    ]:
        done = make_model(tmp_path / "m", shards, *flags)
        assert done.returncode == code and message in done.stderr, done.stderr
    assert not list(tmp_path.iterdir())
    with pytest.raises(Problem, match="too few rows"):
        tiny_tokenizer.train(shards[:1], 201, 512)
