"""posttrain_gpt.py's flags: the guide's own line, numbers out of range, and what the engine does not have."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from places import SCRIPTS
from shipped_lines import TUNE
from train_parts import CONFIG, command, make, ranks

sys.path.insert(0, str(SCRIPTS))
import posttrain_gpt  # noqa: E402

from distillery import model_config, schema  # noqa: E402
from distillery.engine.batches import Rows  # noqa: E402
from distillery.problems import UsageProblem  # noqa: E402
from distillery.resolution import OVERRIDES  # noqa: E402
from distillery.train import engine_settings  # noqa: E402
from distillery.train.tokenized_data import Data  # noqa: E402

NEEDED = (
    "--load l --save s --data-path d --tokenizer-name-or-path t --seq-length 128 --train-iters 9 --lr 1e-3"
)


@pytest.mark.mindspore
def test_the_guides_whole_line_runs_on_a_model_of_tiny_sizes(tmp_path):
    parts = make(tmp_path, tie_word_embeddings=False, num_hidden_layers=2)
    converted = command(
        "convert_ckpt.py",
        *"--use-mcore-models --load-model-type hf --save-model-type mg --params-dtype bf16".split(),
        *("--target-tensor-parallel-size", 1, "--target-pipeline-parallel-size", 2),
        *("--load-dir", parts / "hf", "--save-dir", parts / "two-stages"),
    )
    assert converted.returncode == 0, converted.stderr
    sizes = {
        "--num-layers": 2,
        "--hidden-size": 32,
        "--ffn-hidden-size": 48,
        "--num-attention-heads": 4,
        "--num-query-groups": 2,
        "--max-position-embeddings": 128,
        "--seq-length": 128,
        "--rotary-base": 500,
        "--padded-vocab-size": 400,
        "--prompt-type": "qwen_math_r1",
        "--global-batch-size": 4,
        "--train-iters": 3,
        "--lr-warmup-fraction": 0.1,
        "--tokenizer-name-or-path": parts / "hf",
        "--data-path": parts / "tok/data",
        "--load": parts / "two-stages",
        "--save": tmp_path / "tuned",
    }
    line = [*TUNE.split(), "--log-throughput"]
    for flag, value in sizes.items():
        line[line.index(flag) + 1] = value
    returncode, said = ranks(2, tmp_path, SCRIPTS / "posttrain_gpt.py", *line)
    assert returncode == 0, said
    assert json.loads((tmp_path / "tuned/done.json").read_text())["iteration"] == 3


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--log-interval 0", "from 1"),
        ("--micro-batch-size 0", "from 1"),
        ("--keep-checkpoints -1", "from 1"),
        ("--keep-checkpoints 0", "from 1"),
        ("--save-interval -1", "from 0"),
        ("--eval-iters 1.5", "from 0"),
        ("--seed 4294967296", "to 4294967295"),
        ("--lr nan", "from 0, finite"),
        ("--clip-grad -1", "from 0, finite"),
        ("--adam-beta2 1", "less than 1"),
        ("--num-layer-list 1,x", "from 1"),
        ("--num-layer-list 2,0", "from 1"),
    ],
)
def test_numbers_out_of_range_are_refused(words, wanted, capsys):
    with pytest.raises(SystemExit, match="2"):
        posttrain_gpt.parser().parse_args([*NEEDED.split(), *words.split()])
    said = capsys.readouterr().err
    assert words.split()[0] in said and wanted in said and words.split()[1].split(",")[-1] in said


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--attention-dropout 0.5", "0.0"),
        ("--hidden-dropout 0.1", "0.0"),
        ("--stage dpo", "sft"),
        ("--normalization LayerNorm", "RMSNorm"),
        ("--position-embedding-type alibi", "rope"),
    ],
)
def test_what_would_change_the_result_is_refused(words, wanted):
    arch = model_config.from_config({"model_type": "qwen2", "vocab_size": 400, **CONFIG})
    args = posttrain_gpt.parser().parse_args([*NEEDED.split(), *words.split()])
    with pytest.raises(UsageProblem, match="does not have this") as raised:
        engine_settings.check(args, arch)
    assert words.split()[0] in str(raised.value) and wanted in str(raised.value)


def test_every_training_key_of_the_configuration_is_a_flag():
    experiment = schema.schema()["$defs"]["experiment"]["properties"]
    keys = set(experiment["train"]["properties"]) - set(OVERRIDES)
    assert {"eval_interval", "eval_iters", "keep_checkpoints", "calculate_per_token_loss"} <= keys
    known = posttrain_gpt.parser()._option_string_actions
    adapters = {"lora-r", "lora-alpha", "lora-target-modules"}  # as MindSpeed-LLM calls what `lora` holds
    assert {f"--{key.replace('_', '-')}" for key in keys - {"lora"} | adapters} <= set(known)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("--lora-r 8", "--lora-target-modules"),
        ("--lora-target-modules linear_qkv --tensor-model-parallel-size 2", "TP1, PP1"),
        ("--lora-target-modules linear_qkv --use-distributed-optimizer", "whole on each rank"),
    ],
)
def test_adapters_that_cannot_be_trained_are_refused(words, wanted):
    args = posttrain_gpt.parser().parse_args([*NEEDED.split(), *words.split()])
    with pytest.raises(UsageProblem) as raised:
        engine_settings.adapters(args)
    assert wanted in str(raised.value)


def test_adapters_have_the_schemas_defaults():
    words = ["--lora-target-modules", "linear_fc2", "linear_qkv", "--lora-r", "8"]
    found = engine_settings.adapters(posttrain_gpt.parser().parse_args([*NEEDED.split(), *words]))
    assert (found.rank, found.alpha, found.targets) == (8, 32, ("linear_qkv", "linear_fc2"))


@pytest.mark.parametrize(
    ("words", "recomputed"),
    [
        ("", False),
        ("--recompute-granularity full", True),
        ("--lora-target-modules linear_qkv", True),
        ("--lora-target-modules linear_qkv --recompute-granularity selective", False),
    ],
)
def test_adapters_keep_no_activations_unless_they_are_told_to(words, recomputed):
    args = posttrain_gpt.parser().parse_args([*NEEDED.split(), *words.split()])
    manifest = {"options": {"pack": False, "neat_pack": False, "seq_length": 128}, "template": None}
    found = engine_settings.settings(args, Data(Rows([], [], []), manifest, Path("d")), 1)
    assert found.recompute is recomputed
