"""Scripts become a configuration that loads and plans; what they contradict one another in is found at its line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from commands import here
from guide_scripts import guide
from hypothesis import given, settings
from hypothesis import strategies as st
from places import FIXTURES, ROOT, SCRIPTS

from distillery import config
from distillery.planning import checks
from distillery.planning.finding import SECTIONS
from distillery.problems import Problem
from distillery.shell import importing, programs, reading
from distillery.shell.importing import Imported

MATH, TORCHRUN = FIXTURES / "shell/math", FIXTURES / "shell/torchrun"
GUIDE = ROOT / "config/guide-scripts"
TUNE, DATA, CONVERT, GENERATE = (
    "tune_qwen25_math_7b_full_ms.sh",
    "data_convert_qwen25_math_instruction.sh",
    "ckpt_convert_qwen25_math_hf2mcore.sh",
    "generate_qwen25_math_7b_ms.sh",
)


def scripts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sh"))


def changed(folder: Path, edits: Mapping[str, tuple[str, str] | str | None]) -> list[Path]:
    """The math scripts in a folder, one text replaced, a file written anew, or left out."""
    for path in scripts(MATH):
        edit = edits.get(path.name, ("", ""))
        if edit is not None:
            text = path.read_text()
            assert isinstance(edit, str) or edit[0] in text, f"{edit[0]} is not in {path.name}"
            (folder / path.name).write_text(edit if isinstance(edit, str) else text.replace(*edit))
    for name in edits.keys() - {path.name for path in scripts(MATH)}:
        (folder / name).write_text(edits[name])
    return scripts(folder)


def loaded(imported: Imported) -> config.Config:
    return config.load(yaml.safe_load(imported.text))


def experiment(imported: Imported) -> dict:
    ((_, found),) = yaml.safe_load(imported.text)["experiments"].items()
    return found


def lines(imported: Imported, id: str) -> list[str]:
    return [str(one) for one in imported.findings if one.id == id]


def test_scripts_that_agree_are_imported_without_a_finding():
    imported = importing.together(scripts(MATH))
    assert imported.findings == ()
    found = yaml.safe_load(imported.text)
    assert found["models"] == {
        "qwen2.5-math-7b": {
            "hub": {"host": "modelscope", "repo": "Qwen/Qwen2.5-Math-7B", "revision": "master"}
        }
    }
    ((_, rows),) = found["datasets"].items()
    assert rows["source"]["hub"]["files"] == "data/train-{00000..00009}-of-00010.parquet"
    assert rows["source"]["hub"]["endpoints"] == ["https://hf-mirror.com"]
    assert found["hardware"]["ascend"]["environment"] == {"HCCL_CONNECT_TIMEOUT": 1800}
    assert found["hardware"]["ascend"]["msrun"] == {"cluster_time_out": 600, "bind_core": True}
    one = experiment(imported)
    assert one["layout"] == {"tensor_parallel_size": 2, "pipeline_parallel_size": 1}
    assert (one["seq_length"], one["prompt_type"], one["params_dtype"]) == (4096, "qwen_math_r1", "bf16")
    assert "rope" not in one  # config.json's own
    assert one["train"]["lr"] == 5e-5 and one["train"]["save_interval"] == 500
    assert one["generate"]["task"] == "greedy" and one["generate"]["npus_per_node"] == 2
    assert "shards" not in one.get("tokenize", {})
    assert [one.id for one in checks.run(loaded(imported))] == ["device-unknown"]


@pytest.mark.parametrize(
    "paths",
    [
        scripts(GUIDE),
        scripts(MATH),
        *([path] for path in [*scripts(GUIDE), *scripts(MATH), *scripts(TORCHRUN)]),
    ],
    ids=lambda paths: "+".join(path.stem for path in paths)[:40],
)
def test_every_import_loads_and_is_checked(paths: list[Path]):
    """Alone or together, of a known model or not: at most `unknown-model` tells them apart."""
    imported = importing.together(paths)
    found = checks.run(loaded(imported))
    texts = "".join(path.read_text() for path in paths)
    unknown = "qwen2_7b" in texts or not re.search("--num-layers|modelscope download", texts)
    assert any(one.id == "unknown-model" for one in found) == unknown
    assert importing.together(paths).text == imported.text


def test_imported_scripts_are_planned(tmp_path: Path):
    plan = tmp_path / "mine.yaml"
    plan.write_text(importing.together(scripts(MATH)).text)
    done = subprocess.run(
        [sys.executable, SCRIPTS / "plan.py", "--configfile", plan],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  train +mindspeed-llm .* 41\.3 ", done.stdout, re.MULTILINE)


TUNE_GUIDE, DATA_GUIDE, CONVERT_GUIDE, GENERATE_GUIDE = (
    next(path.name for path in scripts(GUIDE) if path.name.startswith(start))
    for start in ("tune", "data", "ckpt", "generate")
)


# the guide's own values
FOUND = {
    "answer-budget",
    "context",
    "devices",
    "dtype-agreement",
    "epochs",
    "layout-change",
    "learning-rate",
    "log-folder",
    "msrun-join",
    "no-kv-cache",
    "no-task",
    "not-resumable",
    "one-checkpoint",
    "path-agreement",
    "prompt-type",
    "rope-base",
    "some-shards",
    "start-flags",
    "stop-token",
    "tee-status",
    "template-markers",
    "tokenize-length",
}


def test_the_guide_contradicts_itself_in_twenty_two_ways():
    imported = importing.together(scripts(GUIDE))
    assert {one.id for one in imported.findings} == FOUND and len(FOUND) >= 12
    severities = [one.severity for one in imported.findings]
    assert severities == sorted(severities)  # errors first
    tune, data, convert, generate = TUNE_GUIDE, DATA_GUIDE, CONVERT_GUIDE, GENERATE_GUIDE
    for words in (
        f"error[rope-base] {tune}:35, {data}:5: 1e+06, expected 10000",
        f"error[context] {tune}:17, {data}:5: 8192 tokens, expected at most 4096",
        f"error[prompt-type] {data}:19, {tune}:44: data made with qwen_math_r1, then deepseek3",
        f"error[stop-token] {data}:19, {generate}:42: qwen_math_r1 trains <|im_end|> (151645), deepseek3 stops at"
        " <|endoftext|> (151643)",
        f"error[devices] {generate}:11, {generate}:14, {generate}:15: 1 device for TP1 PP2",
        f"error[msrun-join] {tune}:24: --join=False",
        f"warning[layout-change] {convert}:10, {convert}:11, {tune}:15, {tune}:16: weights are TP2 PP1, training"
        " starts from TP1 PP2",
        f"warning[epochs] {tune}:50, {tune}:49, {data}:8: 2000 * 64 sequences = 13.7 epochs of 9373 rows",
        f"warning[some-shards] {data}:12, {data}:8: 1 of 10 shards",
        f"warning[start-flags] {tune}:59, {tune}:60: --finetune --no-load-optim --no-load-rng",
        f"warning[tee-status] {tune}:77: the status of posttrain_gpt.py is lost",
    ):
        assert any(str(one).startswith(words) for one in imported.findings), words


@pytest.mark.parametrize(
    ("edits", "gone"),
    [
        ({TUNE_GUIDE: [("-base 1000000", "-base 10000")]}, ["rope-base"]),
        ({GENERATE_GUIDE: [("-base 1000000", "-base 10000")]}, ["rope-base"]),
        ({TUNE_GUIDE: [("deepseek3", "qwen_math_r1")]}, ["prompt-type", "template-markers"]),
        (
            {GENERATE_GUIDE: [("deepseek3", "qwen_math_r1")]},
            ["prompt-type", "stop-token", "template-markers"],
        ),
        ({GENERATE_GUIDE: [("PER_NODE=1", "PER_NODE=2"), ("SIZE=1", "SIZE=2")]}, ["devices"]),
        ({GENERATE_GUIDE: [("--seed", "--task greedy --seed")]}, ["no-task"]),
        ({GENERATE_GUIDE: [("--seed", "--use-kv-cache --seed")]}, ["no-kv-cache"]),
        (
            {GENERATE_GUIDE: [("256", "7000"), ("--seed", "--use-kv-cache --seed")]},
            ["answer-budget", "no-kv-cache"],
        ),
        ({GENERATE_GUIDE: [("--seed", "--bf16 --seed")]}, ["dtype-agreement"]),
        ({TUNE_GUIDE: [("--join=False", "--join=True")]}, ["msrun-join"]),
        ({TUNE_GUIDE: [("# The guide's", "set -o pipefail # The guide's")]}, ["tee-status"]),
        ({CONVERT_GUIDE: [("# The guide's", "mkdir -p logs # The guide's")]}, ["log-folder", "log-folder"]),
        (
            {
                CONVERT_GUIDE: [
                    ("tensor-parallel-size 2", "tensor-parallel-size 1"),
                    ("pipeline-parallel-size 1", "pipeline-parallel-size 2"),
                ]
            },
            ["layout-change"],
        ),
        (
            {CONVERT_GUIDE: [("./model_from_hf/distill_qwen_mcore/tok", "./Qwen25Math7B/tok")]},
            ["path-agreement"],
        ),
        ({TUNE_GUIDE: [("--lr 1.25e-6", "--lr 5e-5")]}, ["learning-rate"]),
        ({TUNE_GUIDE: [("--save-interval 2000", "--save-interval 500")]}, ["one-checkpoint"]),
        ({TUNE_GUIDE: [("--no-save-optim ", "")]}, ["not-resumable"]),
        ({TUNE_GUIDE: [("--finetune ", ""), ("--no-load-optim --no-load-rng ", "")]}, ["start-flags"]),
        ({DATA_GUIDE: [("--workers 4", "--workers 4 --seq-length 8192")]}, ["tokenize-length"]),
        ({DATA_GUIDE: [("/train-00000-of-00010.parquet ", "/ ")]}, ["epochs", "some-shards"]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else "",
)
def test_curing_one_line_makes_just_its_findings_go_away(tmp_path: Path, edits, gone):
    before = list(map(str, importing.together(scripts(GUIDE)).findings))
    for path in scripts(GUIDE):
        text = path.read_text()
        for old, new in edits.get(path.name, ()):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / path.name).write_text(text)
    after = list(map(str, importing.together(scripts(tmp_path)).findings))
    assert [one for one in after if one not in before] == []
    assert sorted(re.search(r"\[(.*?)\]", one)[1] for one in before if one not in after) == gone


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readmes_show_what_is_printed(readme: str):
    shown = re.findall(r"^error\[.*?(?=; \.\.\.$)", (ROOT / readme).read_text(), re.MULTILINE)
    assert shown
    printed = list(map(str, importing.together(scripts(GUIDE)).findings))
    assert [one for one in shown if not any(line.startswith(one + "; ") for line in printed)] == []


def test_the_guide_does_not_fit_its_devices():
    (one,) = [one for one in checks.run(config.load(guide())) if one.id == "device-memory"]
    assert one.found.startswith("62.3 GiB on the fullest device (TP1 PP2")


def test_the_trainers_value_is_written_and_the_others_are_named():
    imported = importing.together(scripts(GUIDE))
    one = experiment(imported)
    assert one["prompt_type"] == "deepseek3" and one["seq_length"] == 8192
    assert one["layout"] == {"tensor_parallel_size": 1, "pipeline_parallel_size": 2}
    assert one["rope"] == {"rotary_base": 1000000}
    assert "prompt_type" not in one["train"] and "layout" not in one["generate"]
    flat = re.sub(r"\n *# ", " ", imported.text)
    assert (
        "tune_distill_qwen_7b_full.sh:44 says; data_convert_distill_qwen_instruction.sh:19 has --prompt-type"
        in flat
    )
    assert "ckpt_convert_distill_qwen_hf2mcore.sh:10 has TP2 PP1" in flat
    assert "data_convert_distill_qwen_instruction.sh:11 has no --seq-length" in flat


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


def test_nothing_that_scripts_say_is_dropped():
    """Each flag is a key, or listed with what our own line says in its place, or named as derived."""
    for folder in (GUIDE, MATH, TORCHRUN):
        imported = importing.together(scripts(folder)[:1] if folder == TORCHRUN else scripts(folder))
        paths = {path.name: path for path in scripts(folder)}
        keys = _leaves(experiment(imported)) | {"rotary_base", "target_tensor_parallel_size"}
        text = re.sub(r"\n *#   ", " ", imported.text)
        for name in re.findall(r"[\w.-]+\.sh", imported.text.partition("\n\n")[0]):
            for program in programs.find(reading.read(name, paths[name].read_text()))[0]:
                for flag in program.flags.values():
                    key = (
                        flag.name[2:]
                        .replace("-", "_")
                        .removeprefix("target_")
                        .replace("model_parallel", "parallel")
                    )
                    known = key in keys or flag.name in ("--handler-name", "--map-keys", "--input", "--bf16")
                    shared = key in ("seq_length", "prompt_type", "params_dtype")
                    assert known or shared or flag.name in text, f"{name}: {flag}"


def _leaves(tree: object) -> set[str]:
    if not isinstance(tree, dict):
        return set()
    return {*tree, *(leaf for value in tree.values() for leaf in _leaves(value))}


def test_what_has_no_key_is_listed_with_its_line(tmp_path: Path):
    edits = {
        TUNE: ("--bf16", "--swap-attention --recompute-method block --bf16"),
        GENERATE: ("mkdir -p logs", "mkdir -p logs; export PYTHONPATH=/opt:$PYTHONPATH; source env.sh"),
    }
    imported = importing.together(changed(tmp_path, edits))
    listed = [str(one) for one in imported.listing.lost]
    for one in (
        f"{TUNE}:35 --swap-attention",
        f"{TUNE}:35 --recompute-method block",
        f"{GENERATE}:3 export PYTHONPATH=/opt:$PYTHONPATH",
        f"{GENERATE}:3 source env.sh",
        f"{TUNE}:51 | tee logs/tune.log",
    ):
        assert one in listed
        assert f"#   {one}" in imported.text


def test_defaults_of_mindspeed_are_written_where_ours_differ():
    imported = importing.together([TORCHRUN / "tune_llama31_8b_4k_full_ptd.sh"])
    train = experiment(imported)["train"]
    assert (
        train["weight_decay"] == 0.01 and train["adam_beta2"] == 0.999 and train["lr_decay_style"] == "linear"
    )
    assert train["use_distributed_optimizer"] is False and train["variable_seq_lengths"] is False
    assert train["global_batch_size"] == 2  # 16 devices of TP8, one micro-batch each
    assert "clip_grad" not in train  # one default
    assert loaded(imported).experiments["tune_llama31_8b_4k_full_ptd"].hardware.framework == "pytorch"
    assert "tune_llama31_8b_4k_full_ptd.sh:12 has no --weight-decay" in imported.text


def test_models_are_told_apart_by_sizes_and_names(tmp_path: Path):
    sized = (MATH / GENERATE).read_text()
    for name, repo in (
        ("generate_qwen25_7b.sh", "Qwen/Qwen2.5-7B"),
        ("generate_qwen2.5_7b_instruct.sh", "Qwen/Qwen2.5-7B-Instruct"),
        ("generate_distill_qwen_7b.sh", "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"),
        ("generate_qwen25_coder_7b.sh", None),
        ("generate_qwen2_7b.sh", None),
    ):
        text = sized.replace("qwen25_math", "it").replace("_math", "")
        path = tmp_path / name
        path.write_text(text)
        ((_, source),) = yaml.safe_load(importing.together([path]).text)["models"].items()
        assert source.get("hub", {}).get("repo") == repo, name


@pytest.mark.parametrize(
    ("line", "source"),
    [
        (
            "modelscope download --model a/b --local_dir x",
            {"host": "modelscope", "repo": "a/b", "revision": "master"},
        ),
        (
            "huggingface-cli download a/b --revision v1",
            {"host": "huggingface", "repo": "a/b", "revision": "v1"},
        ),
        ("git clone https://huggingface.co/a/b", {"host": "huggingface", "repo": "a/b", "revision": "main"}),
        (
            "git clone https://www.modelscope.cn/a/b.git x",
            {"host": "modelscope", "repo": "a/b", "revision": "master"},
        ),
    ],
)
def test_a_model_that_is_downloaded_is_that_model(tmp_path: Path, line: str, source: dict[str, str]):
    imported = importing.together(changed(tmp_path, {DATA: ("mkdir -p ./finetune_dataset", line)}))
    assert yaml.safe_load(imported.text)["models"] == {"b": {"hub": source}}
    assert lines(imported, "unknown-model")[0].startswith(f"warning[unknown-model] {DATA}:2: ")


def command(*paths: Path | str) -> subprocess.CompletedProcess[str]:
    return here("import_scripts.py", *paths)


def test_the_command_writes_both_streams_whole_and_ends_with_the_errors_status():
    good, bad = command(*scripts(MATH)), command(*scripts(GUIDE))
    assert (good.returncode, bad.returncode) == (0, 1)
    assert bad.stdout == importing.together(scripts(GUIDE)).text
    found = [line for line in bad.stderr.splitlines() if line.startswith(("error[", "warning["))]
    assert found == [str(one) for one in importing.together(scripts(GUIDE)).findings]
    assert "the scripts have 13 errors" in bad.stderr
    assert f"no key: {TUNE}:51 | tee logs/tune.log" in good.stderr


def test_scripts_of_one_name_in_two_folders_are_told_apart(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tune.sh").write_text(
            "msrun posttrain_gpt.py --lr 1e-5 --ai-framework mindspore\n"
        )
    imported = importing.together([tmp_path / "one/tune.sh", tmp_path / "two/tune.sh"])
    assert lines(imported, "script-twice")[0].startswith("error[script-twice] one/tune.sh:1, two/tune.sh:1: ")
    assert str(tmp_path) not in imported.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"echo no program\n", "no line starts a program of MindSpeed-LLM"),
        (b"\xff\xfe\x00", "not a script"),
        (b"python inference.py 'open\n", "opened and never closed"),
        (None, "no such script"),
    ],
)
def test_what_is_no_script_is_refused_with_nothing_written(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "x.sh"
    if content is not None:
        path.write_bytes(content)
    done = command(path)
    assert done.returncode == 1 and words in done.stderr and done.stdout == ""
    with pytest.raises(Problem):
        importing.together([path])


ODD = st.sampled_from(
    [
        "0",
        "-1",
        "abc",
        "",
        "1e9",
        "$X",
        "${Y:-3}",
        '"a b"',
        "{1..3}",
        "$((1/0))",
        "$(ls)",
        "\\",
        "<fill in>",
        "#",
        "if",
        '"',
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_odd_words_end_in_a_configuration_or_a_taught_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("odd")
    for path in scripts(data.draw(st.sampled_from([GUIDE, MATH, TORCHRUN]))):
        words = path.read_text().split(" ")
        for _ in range(data.draw(st.integers(0, 3))):
            words[data.draw(st.integers(0, len(words) - 1))] = data.draw(ODD)
        (folder / path.name).write_text(" ".join(words))
    try:
        loaded(importing.together(scripts(folder)))
    except Problem as problem:
        assert "not valid" not in problem.what  # of a configuration that was written


def test_names_of_experiments_are_names_of_folders(tmp_path: Path):
    path = tmp_path / "tune my model$(1).sh"
    path.write_text("msrun posttrain_gpt.py --lr 1e-5 --ai-framework mindspore\n")
    ((name, _),) = yaml.safe_load(importing.together([path]).text)["experiments"].items()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", name) and os.sep not in name
