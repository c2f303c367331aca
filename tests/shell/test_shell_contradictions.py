"""Each contradiction that scripts may hold, brought about in scripts that have none, is found at its lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell_folders import (
    CONVERT,
    DATA,
    GENERATE,
    TUNE,
    changed,
    loaded,
)

from distillery.planning.finding import SECTIONS
from distillery.shell import importing

# id, severity, what brings it about, and texts of the lines where it is found
TUNES, DATAS, CONVERTS, GENERATES = (
    "posttrain_gpt.py",
    "preprocess_data.py",
    "convert_ckpt.py",
    "inference.py",
)
TABLE = [
    ("msrun-join", "error", {TUNE: ("--join=True ", "")}, {TUNE: [TUNES]}),
    ("msrun-join", "error", {GENERATE: ("--join True", "--join False")}, {GENERATE: ["--join"]}),
    ("tee-status", "warning", {TUNE: ("set -o pipefail", "")}, {TUNE: ["| tee"]}),
    ("log-folder", "warning", {TUNE: ("-p logs", "-p l"), GENERATE: ("-p logs", "-p l")}, {TUNE: ["| tee"]}),
    ("start-flags", "warning", {TUNE: ("--stage", "--finetune --stage")}, {TUNE: ["--finetune"]}),
    ("not-resumable", "warning", {TUNE: ("--stage", "--no-save-optim --stage")}, {TUNE: ["--no-save"]}),
    ("rope-base", "error", {TUNE: ("-base 10000", "-base 1000000")}, {TUNE: ["--rotary", "--num-layers"]}),
    ("rope-base", "error", {TUNE: (" --rotary-base 10000", "")}, None),  # Megatron's default is this model's
    ("rope-base", "error", {GENERATE: ("-base 10000", "-base 5000")}, {GENERATE: ["--rotary"]}),
    ("context", "error", {TUNE: ("SEQ_LEN=4096", "SEQ_LEN=8192")}, {TUNE: ["SEQ_LEN=", "--num-layers"]}),
    (
        "length-agreement",
        "warning",
        {GENERATE: ("--seq-length 4096", "--seq-length 3584")},
        {TUNE: ["SEQ_LEN="], GENERATE: ["--seq-length"]},
    ),
    (
        "tokenize-length",
        "warning",
        {DATA: ("    --seq-length 4096 \\\n", "")},
        {DATA: [DATAS], TUNE: ["SEQ_LEN="]},
    ),
    # it makes room for the new tokens, not for the whole context, and Megatron switches off what one rank cannot cut
    ("tokens-to-oom", "error", {GENERATE: ("--seq-length 4096", "--seq-length 32768")}, None),
    ("tokens-to-oom", "error", {GENERATE: ("tokens 3072", "tokens 12000")}, {GENERATE: ["--max-new"]}),
    ("sequence-parallel", "error", {TUNE: ("size ${TP}", "size 1 --sequence-parallel")}, None),
    ("no-effect", "warning", {TUNE: ("size ${TP}", "size 1 --sequence-parallel")}, {TUNE: ["--sequence"]}),
    ("short-rows", "warning", {DATA: ("4096", "2048")}, {DATA: ["--seq-length"], TUNE: ["SEQ_LEN="]}),
    ("prompt-type", "error", {DATA: ("qwen_math_r1", "qwen")}, {DATA: ["--prompt"], TUNE: ["--prompt"]}),
    (
        "prompt-type",
        "warning",
        {GENERATE: ("--prompt-type qwen_math_r1 ", "")},
        {TUNE: ["--prompt"], GENERATE: [GENERATES]},
    ),
    (
        "stop-token",
        "error",
        {GENERATE: ("qwen_math_r1", "deepseek3")},
        {DATA: ["--prompt"], GENERATE: ["--prompt"]},
    ),
    (
        "layout-change",
        "warning",
        {CONVERT: ("pipeline-parallel-size 1", "pipeline-parallel-size 2")},
        {CONVERT: ["--target-tensor", "--target-pipeline"], TUNE: ["TP=", "PP="]},
    ),
    ("tensor-split", "error", {TUNE: ("TP=2", "TP=8")}, {TUNE: ["TP=", "--num-layers"]}),
    (
        "layer-list",
        "error",
        {CONVERT: ("parallel-size 1", "parallel-size 2 --num-layer-list 13,14")},
        {CONVERT: ["--num-layer-list"], TUNE: ["--num-layers"]},
    ),
    (
        "dtype-agreement",
        "warning",
        {CONVERT: ("--params-dtype bf16 #", "#")},
        {TUNE: ["--bf16"], CONVERT: [CONVERTS]},
    ),
    (
        "dtype-agreement",
        "warning",
        {GENERATE: ("--bf16", "--fp16")},
        {TUNE: ["--bf16"], GENERATE: ["--fp16"]},
    ),
    (
        "one-checkpoint",
        "warning",
        {TUNE: ("interval 500", "interval 2000")},
        {TUNE: ["--save-int", "--train-iters"]},
    ),
    ("epochs", "warning", {TUNE: ("-iters 2000", "-iters 9000")}, {TUNE: ["--train-iters"], DATA: ["wget"]}),
    ("min-lr", "error", {TUNE: ("--min-lr 5e-6", "--min-lr 5e-4")}, {TUNE: ["--min-lr"]}),
    (
        "some-shards",
        "warning",
        {DATA: ("./data/", "./data/train-00000-of-00010.parquet")},
        {DATA: ["--input", "wget"]},
    ),
    ("shard-name", "warning", {DATA: "python preprocess_data.py --input d/a.tsv"}, {DATA: ["--input"]}),
    ("shard-name", "warning", {DATA: "python preprocess_data.py --input d/a.jsonl"}, None),
    ("no-task", "error", {GENERATE: ("--task greedy ", "")}, {GENERATE: [GENERATES]}),
    ("chat-task", "error", {GENERATE: ("--task greedy", "--task chat")}, {GENERATE: ["--task"]}),
    ("devices", "error", {GENERATE: ("NODE=2", "NODE=1")}, {GENERATE: ["NPUS_PER_NODE=", "--tensor"]}),
    (
        "world-size",
        "error",
        {TUNE: ("$(($NPUS_PER_NODE*$NNODES))", "12")},
        {TUNE: ["WORLD_SIZE=", "NPUS_PER_NODE="]},
    ),
    ("master-address", "error", {TUNE: ("NNODES=1", "NNODES=2")}, {TUNE: ["--master_addr", "WORLD_SIZE="]}),
    (
        "pack-agreement",
        "error",
        {DATA: ("--prompt-type", "--pack --neat-pack --prompt-type")},
        {DATA: ["--neat-pack"], TUNE: [TUNES]},
    ),
    (
        "virtual-pipeline",
        "error",
        {TUNE: ("--bf16", "--num-layers-per-virtual-pipeline-stage 7 --bf16")},
        {TUNE: ["--bf16"]},
    ),
    ("model-flags", "error", {CONVERT: ("    --add-qkv-bias \\\n", "")}, {CONVERT: [CONVERTS]}),
    ("model-flags", "error", {GENERATE: ("--norm-epsilon 1e-6 ", "")}, {GENERATE: [GENERATES]}),
    ("model-flags", "error", {TUNE: ("size 152064", "size 151936")}, {TUNE: ["--padded"]}),
    (
        "path-agreement",
        "warning",
        {TUNE: ("LOAD_DIR=./model_weights", "LOAD_DIR=./weights")},
        {CONVERT: ["--save-dir"], TUNE: ["LOAD_DIR="]},
    ),
    (
        "path-agreement",
        "warning",
        {DATA: ("openr1 ", "r1 ")},
        {DATA: ["--output-prefix"], TUNE: ["DATA_PATH="]},
    ),
    (
        "path-agreement",
        "warning",
        {CONVERT: ("hf/tokenizer.json", "other/tokenizer.json")},
        {TUNE: ["TOKENIZER_PATH="], CONVERT: ["--tokenizer-model"]},
    ),
    (
        "path-agreement",
        "warning",
        {GENERATE: ("1:-./ckpt", "1:-./old")},
        {TUNE: ["SAVE_DIR="], GENERATE: ["CHECKPOINT="]},
    ),
    ("framework-agreement", "error", {GENERATE: ("--ai-framework mindspore", "")}, {GENERATE: [GENERATES]}),
    (
        "framework-agreement",
        "error",
        {TUNE: ("msrun $", "torchrun $")},
        {TUNE: [TUNES], GENERATE: [GENERATES]},
    ),
    ("mindspeed-flag", "error", {CONVERT: ("--add-qkv-bias", "--add-bias")}, {CONVERT: ["--add-bias"]}),
    ("mindspeed-flag", "error", {TUNE: ("--lr 5e-5", "--lr fast")}, {TUNE: ["--lr fast"]}),
    ("mindspeed-flag", "error", {TUNE: ("$GPT_ARGS", "stray $GPT_ARGS")}, {TUNE: ["stray"]}),
    ("flag-twice", "warning", {TUNE: ("--lr 5e-5", "--lr 1e-5 --lr 5e-5")}, {TUNE: ["--lr 1e-5"]}),
    ("script-training", "error", {TUNE: ("--stage sft", "--stage dpo")}, {TUNE: ["--stage"]}),
    ("script-training", "error", {TUNE: ("--stage sft", "--stage sft --lora-r 8")}, {TUNE: ["--lora-r"]}),
    ("script-training", "error", {DATA: ("SharegptStyle", "PPOAlpacaStyle")}, {DATA: ["--handler-name"]}),
    ("script-program", "error", {TUNE: ("posttrain_gpt", "postrain_gpt")}, {TUNE: ["postrain_gpt"]}),
    ("script-value", "warning", {TUNE: ("--lr 5e-5", "--lr $LR")}, {TUNE: ["$LR"]}),
    (
        "script-value",
        "warning",
        {TUNE: ("--split 100,0,0", "--eval-iters none")},
        {TUNE: ["--eval-iters none"]},
    ),
    ("script-value", "warning", {CONVERT: ("dtype bf16", "dtype fp8")}, {CONVERT: ["--params-dtype"]}),
    ("script-syntax", "error", {TUNE: ("TP=2", "TP=2\r")}, {TUNE: ["TP=2"]}),
    ("script-syntax", "error", {TUNE: ("TP=2", "TP=<tensor size>")}, {TUNE: ["TP=<"]}),
    ("script-branch", "warning", {TUNE: ("TP=2", "if [ -z $1 ]; then TP=2; fi")}, {TUNE: ["if ["]}),
    ("script-missing", "error", {TUNE: None}, {DATA: [DATAS]}),
    ("script-missing", "warning", {DATA: None}, {TUNE: [TUNES]}),
    (
        "script-twice",
        "error",
        {"tune_two.sh": "msrun --join=True posttrain_gpt.py --lr 1 --ai-framework mindspore"},
        {TUNE: [TUNES], "tune_two.sh": [TUNES]},
    ),
]


def line(path: Path, text: str) -> str:
    """script:line of the first line that has a text."""
    lines = path.read_bytes().decode().split("\n")
    return f"{path.name}:{next(number for number, one in enumerate(lines, 1) if text in one)}"


@pytest.mark.parametrize(
    ("id", "severity", "edits", "places"),
    TABLE,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(TABLE)],
)
def test_each_contradiction_is_found_where_it_stands(tmp_path: Path, id, severity, edits, places):
    imported = importing.together(changed(tmp_path, edits))
    found = [one for one in imported.findings if (one.id, one.severity) == (id, severity)]
    loaded(imported)
    if places is None:
        assert not found
        return
    wanted = {line(tmp_path / name, text) for name, texts in places.items() for text in texts}
    assert any(wanted <= set(one.keys) for one in found), "\n".join(
        [str(wanted), *map(str, imported.findings)]
    )


def test_every_id_of_scripts_has_a_row():
    assert set(SECTIONS["imported scripts"]) <= {row[0] for row in TABLE}
