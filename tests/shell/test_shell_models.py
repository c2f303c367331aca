"""Models of imported scripts: told by their sizes, by their names, or by the lines that download them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from shell_folders import (
    DATA,
    GENERATE,
    MATH,
    changed,
    lines,
)

from distillery.shell import importing, script_models


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


LLAMA_8B, QWEN3_8B = (32, 4096, 14336, 32, 8), (36, 4096, 12288, 32, 8)


@pytest.mark.parametrize(
    ("name", "sizes", "repo"),
    [
        ("tune_llama31_8b_4k_full_ptd.sh", LLAMA_8B, "meta-llama/Llama-3.1-8B"),
        ("tune_mistral_7b_full.sh", LLAMA_8B, "mistralai/Mistral-7B-v0.3"),
        ("tune_mistral_7b_instruct_full.sh", LLAMA_8B, "mistralai/Mistral-7B-Instruct-v0.3"),
        ("tune_qwen3_8b_4K_full_ptd.sh", QWEN3_8B, "Qwen/Qwen3-8B"),
        ("tune_qwen3_8b_base.sh", QWEN3_8B, "Qwen/Qwen3-8B-Base"),
        ("tune_deepseek_r1_0528_qwen3_8b.sh", QWEN3_8B, "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"),
        ("tune_mine.sh", LLAMA_8B, None),
    ],
)
def test_families_of_equal_sizes_are_told_apart_by_name(tmp_path: Path, name, sizes, repo):
    flags = " ".join(f"{flag} {size}" for flag, size in zip(script_models.SIZES, sizes, strict=True))
    (tmp_path / name).write_text(
        f"torchrun --nproc_per_node 8 posttrain_gpt.py --stage sft --group-query-attention {flags}\n"
    )
    ((_, source),) = yaml.safe_load(importing.together([tmp_path / name]).text)["models"].items()
    assert source.get("hub", {}).get("repo") == repo


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
