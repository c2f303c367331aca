"""The exported directory is one that transformers (and vLLM) load with nothing else: config, tokenizer, stops."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from convert_parts import RESHARD, TO_HF, TO_MG, assert_same, convert, make_model, tensors
from lazy import Lazy
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models

from distillery import digests
from distillery.convert import convert as conversion
from distillery.convert import shards
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import open_hf, open_mcore

torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.slow

TEMPLATE = {
    "prompt_type": "qwen_math_r1",
    "eos_token": "<|im_end|>",
    "eos_token_id": 3,
    "stop_token_ids": [3, 2],
    "chat_template": "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}",
}


@pytest.fixture
def hf(tmp_path):
    """A model with a tokenizer and sampling defaults beside it."""
    directory = make_model(tmp_path / "hf", bos_token_id=2, eos_token_id=2, max_position_embeddings=64)
    vocabulary = {word: i for i, word in enumerate(["a", "b", "<|endoftext|>", "<|im_end|>", "<|im_start|>"])}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="a")), eos_token="<|endoftext|>"
    )
    tokenizer.chat_template = "the original's"
    tokenizer.save_pretrained(directory)
    generation = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "eos_token_id": 2}
    (directory / "generation_config.json").write_text(json.dumps(generation))
    return directory


@pytest.fixture
def mcore(hf, tmp_path):
    sizes = ["--target-tensor-parallel-size", 2, "--tokenizer-model", hf / "tokenizer.json"]
    convert(*TO_MG, *sizes, "--load-dir", hf, "--save-dir", tmp_path / "mg")
    return tmp_path / "mg"


def export(load, hf, save):
    convert(*TO_HF, "--load-dir", load, "--hf-cfg-dir", hf, "--save-dir", save)
    return save


def test_all_is_carried_byte_for_byte(hf, mcore, tmp_path):
    out = export(mcore, hf, tmp_path / "out")
    assert_same(tensors(out), tensors(hf))
    carried = {path.name for path in hf.iterdir()} - {"model.safetensors"}
    assert carried > {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"}
    made = {"model.safetensors", "manifest.json", ".manifest.json.sha256"}
    assert {path.name for path in out.iterdir()} == carried | made
    for name in carried:
        assert (out / name).read_bytes() == (hf / name).read_bytes(), name
    manifest = json.loads((out / "manifest.json").read_text())
    listed = {entry["name"]: entry for entry in manifest["files"]}
    assert listed.keys() == carried | {"model.safetensors"}
    for entry in digests.entries(out, sorted(carried)):
        assert listed[entry["name"]] == entry
    assert "template" not in manifest


def test_template_of_training_is_carried(hf, mcore, tmp_path):
    payload = json.loads((mcore / "manifest.json").read_text())["payload_digest"]
    (mcore / "done.json").write_text(
        json.dumps({"iteration": 1, "template": TEMPLATE, "payload_digest": payload})
    )
    out = export(mcore, hf, tmp_path / "out")
    generation = transformers.GenerationConfig.from_pretrained(out)
    assert generation.eos_token_id == [3, 2]
    assert (generation.do_sample, generation.temperature, generation.top_p) == (True, 0.7, 0.8)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.eos_token_id == 3
    rendered = tokenizer.apply_chat_template([{"role": "user", "content": "1+1"}], tokenize=False)
    assert rendered == "<|im_start|>user\n1+1<|im_end|>\n"
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["template"] == TEMPLATE
    assert manifest["source"] == {"mcore": payload}
    assert_same(tensors(out), tensors(hf))


@pytest.mark.parametrize("template", [None, TEMPLATE], ids=["original", "tuned"])
def test_sampling_defaults_are_those_asked_for(hf, mcore, tmp_path, template):
    (mcore / "done.json").write_text(json.dumps({"template": template}))
    (hf / "generation_config.json").unlink()
    asked = ["--temperature", 0.6, "--top-k", 0, "--top-p", 0.95]
    convert(*TO_HF, *asked, "--load-dir", mcore, "--hf-cfg-dir", hf, "--save-dir", tmp_path / "out")
    found = transformers.GenerationConfig.from_pretrained(tmp_path / "out")
    assert (found.do_sample, found.temperature, found.top_k, found.top_p) == (True, 0.6, 0, 0.95)
    assert found.eos_token_id == ([3, 2] if template else 2) and found.bos_token_id == 2
    said = convert(*RESHARD, *asked, "--load-dir", mcore, "--save-dir", tmp_path / "mg2", code=2)
    assert "generation_config.json" in said and not (tmp_path / "mg2").exists()


def test_template_survives_resharding_and_a_null_rendering_keeps_the_originals(hf, mcore, tmp_path):
    (mcore / "done.json").write_text(json.dumps({"template": {**TEMPLATE, "chat_template": None}}))
    convert(*RESHARD, "--load-dir", mcore, "--save-dir", tmp_path / "tp1")
    out = export(tmp_path / "tp1", hf, tmp_path / "out")
    assert transformers.GenerationConfig.from_pretrained(out).eos_token_id == [3, 2]
    assert transformers.AutoTokenizer.from_pretrained(out).chat_template == "the original's"


def test_the_references_way_save_dir_is_the_original(hf, mcore):
    shutil.rmtree(hf / "mg2hf", ignore_errors=True)
    convert(*TO_HF, "--model-type-hf", "llama2", "--add-qkv-bias", "--load-dir", mcore, "--save-dir", hf)
    assert_same(tensors(hf / "mg2hf"), tensors(hf))
    assert (hf / "mg2hf" / "tokenizer.json").is_file()
    convert(*TO_HF, "--load-dir", mcore, "--save-dir", hf)  # again, over its own output


def test_rope_that_differs_from_config_is_said(hf, mcore, tmp_path):
    config = json.loads((hf / "config.json").read_text())
    (hf / "config.json").write_text(json.dumps({**config, "rope_theta": 1e6}))
    said = convert(*TO_HF, "--load-dir", mcore, "--hf-cfg-dir", hf, "--save-dir", tmp_path / "out")
    assert "warning" in said
    assert "rotary_base 10000" in said
    assert "1e+06" in said


@pytest.mark.parametrize("key", ["torch_dtype", "dtype"])
def test_type_follows_the_weights_whatever_its_key_is_called(key, hf, tmp_path):
    config = json.loads((hf / "config.json").read_text())
    config[key] = config.pop("torch_dtype")
    (hf / "config.json").write_text(json.dumps(config))
    convert(*TO_MG, "--params-dtype", "fp32", "--load-dir", hf, "--save-dir", tmp_path / "mg")
    out = export(tmp_path / "mg", hf, tmp_path / "out")
    assert json.loads((out / "config.json").read_text()) == {**config, key: "float32"}
    wide = {name: value.astype(np.float32) for name, value in tensors(hf).items()}
    assert_same(tensors(out), wide)
    words = [
        "--params-dtype",
        "bf16",
        "--load-dir",
        tmp_path / "mg",
        "--hf-cfg-dir",
        hf,
        "--save-dir",
        tmp_path / "b",
    ]
    convert(*TO_HF, *words)
    assert_same(tensors(tmp_path / "b"), tensors(hf))


def test_large_models_are_sharded_with_an_index(hf, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 3000)
    source = open_hf(hf)
    conversion.to_mcore(source, Layout(2, 2), source.dtype, tmp_path / "mg", facts={})
    conversion.to_hf(open_mcore(tmp_path / "mg"), hf, source.dtype, tmp_path / "out", facts={})
    names = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(names) > 3
    assert names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    for name in names:
        held = load_file(tmp_path / "out" / name)
        assert sum(value.nbytes for value in held.values()) <= 3000
    assert_same(tensors(tmp_path / "out"), tensors(hf))
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(value.nbytes for value in tensors(hf).values())
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.bfloat16)
    for name, value in tensors(hf).items():
        assert (loaded.state_dict()[name].view(torch.int16).numpy() == value.view(np.int16)).all()
    # from shards to rank files again
    again = conversion.to_mcore(
        open_hf(tmp_path / "out"), Layout(2, 2), source.dtype, tmp_path / "mg2", facts={}
    )
    assert (
        again["payload_digest"]
        == json.loads((tmp_path / "mg" / "manifest.json").read_text())["payload_digest"]
    )


def test_flipped_byte_in_an_export_is_found_by_its_crc(hf, mcore, tmp_path):
    out = export(mcore, hf, tmp_path / "out")
    assert "tensors by CRC-32" in convert("--hf-dir", out, command="convert_verify.py")
    raw = bytearray((out / "model.safetensors").read_bytes())
    raw[-1000] ^= 1
    (out / "model.safetensors").write_bytes(raw)
    said = convert("--hf-dir", out, "--output", tmp_path / "proof.json", code=1, command="convert_verify.py")
    assert "bytes changed" in said
    assert not (tmp_path / "proof.json").exists()


def test_llama_as_transformers_saves_it(tmp_path):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=40,
        tie_word_embeddings=True,
    )
    transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path / "hf")
    words = ["--target-tensor-parallel-size", 2, "--target-pipeline-parallel-size", 3]
    convert(*TO_MG, *words, "--load-dir", tmp_path / "hf", "--save-dir", tmp_path / "mg")
    out = export(tmp_path / "mg", tmp_path / "hf", tmp_path / "out")
    assert_same(tensors(out), tensors(tmp_path / "hf"))
    # by name: MindSpore, once imported, registers a bfloat16 of its own with numpy
    assert next(iter(tensors(out).values())).dtype.name == "bfloat16"
    both = ["--hf-dir", tmp_path / "hf", "--mcore-dir", tmp_path / "mg", "--output", tmp_path / "proof.json"]
    said = convert(*both, "--check-logits", command="convert_verify.py")
    assert "tied embeddings" in said
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert proof["logits"]["max_relative_difference"] < 1e-6
    assert proof["tensors"] == len(tensors(out)) == len(proof["sha256"])


def test_proof_names_what_differs(hf, mcore, tmp_path):
    other = make_model(tmp_path / "other", seed=5)
    both = ["--hf-dir", other, "--mcore-dir", mcore, "--output", tmp_path / "proof.json"]
    said = convert(*both, code=1, command="convert_verify.py")
    assert "weights changed" in said
    assert "model.embed_tokens.weight" in said
    assert not (tmp_path / "proof.json").exists()


def test_same_input_same_bytes(hf, mcore, tmp_path):
    sizes = ["--target-tensor-parallel-size", 2]
    convert(*TO_MG, *sizes, "--load-dir", hf, "--save-dir", tmp_path / "mg2")
    for path in mcore.rglob("*"):
        if path.is_file():
            assert (tmp_path / "mg2" / path.relative_to(mcore)).read_bytes() == path.read_bytes()
    one, two = export(mcore, hf, tmp_path / "one"), export(tmp_path / "mg2", hf, tmp_path / "two")
    for path in one.iterdir():
        assert (two / path.name).read_bytes() == path.read_bytes(), path.name
