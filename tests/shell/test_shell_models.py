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

from distillery.shell import importing


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
