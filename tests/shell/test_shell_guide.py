"""The guide's own scripts: what they contradict one another in, and what is written all the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from guide_scripts import guide
from places import ROOT
from shell_folders import (
    GUIDE,
    experiment,
    scripts,
)

from distillery import config
from distillery.planning import checks
from distillery.shell import importing

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


@pytest.mark.slow
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
