"""The decoder against transformers with torch: names, shapes, logits, packing, RoPE of every kind."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from engine_oracle import SMALL, mcore, model
from lazy import Lazy

from distillery import model_config
from distillery.engine.decoder import Decoder, load_state, state_dict
from distillery.problems import Problem

torch = Lazy("torch")

pytestmark = pytest.mark.mindspore

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 10000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
    "rope_theta": 500.0,
}
CASES = {
    "qwen2 tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen2 untied, one group": ("qwen2", {"tie_word_embeddings": False, "num_key_value_heads": 1}),
    "qwen2 theta, eps": ("qwen2", {"rope_parameters": {"rope_theta": 500.0}, "rms_norm_eps": 1e-3}),
    "llama tied": ("llama", {"tie_word_embeddings": True}),
    "llama head_dim, all heads": ("llama", {"head_dim": 10, "num_key_value_heads": 4}),
    "llama linear": ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}),
    "llama llama3": ("llama", {"rope_parameters": LLAMA3}),
    "qwen2 yarn": ("qwen2", {"rope_parameters": YARN}),
    "qwen3 heads of their own size": ("qwen3", {"head_dim": 16}),
    "qwen3 tied, yarn": ("qwen3", {"head_dim": 8, "tie_word_embeddings": True, "rope_parameters": YARN}),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "mistral in its window": ("mistral", {"sliding_window": 48, "rms_norm_eps": 1e-5}),
}


def ours(made, **options) -> Decoder:
    state = mcore(made)
    decoder = Decoder(model_config.from_config(made.config.to_dict()), **options)
    load_state(decoder, state)
    return decoder


@pytest.mark.parametrize("case", CASES)
def test_logits_equal_transformers(case):
    family, changes = CASES[case]
    made = model(family, **changes)
    ids = np.random.RandomState(1).randint(0, SMALL["vocab_size"], (2, 48)).astype(np.int32)
    with torch.no_grad():
        wanted = made(torch.tensor(ids).long()).logits.numpy()
    np.testing.assert_allclose(ours(made)(ms.Tensor(ids)).asnumpy(), wanted, atol=1e-5, rtol=0)


def test_packed_rows_equal_separate_samples():
    made = model("qwen2")
    decoder = ours(made)
    rng = np.random.RandomState(2)
    first, second = (rng.randint(0, SMALL["vocab_size"], (1, n)).astype(np.int32) for n in (7, 5))
    ids = np.concatenate([first, second], 1)
    positions = np.concatenate([np.arange(7), np.arange(5)]).astype(np.int32)[None]
    segments = np.repeat([1, 2], [7, 5]).astype(np.int32)[None]
    packed = decoder(ms.Tensor(ids), ms.Tensor(positions), ms.Tensor(segments)).asnumpy()
    apart = np.concatenate([decoder(ms.Tensor(part)).asnumpy() for part in (first, second)], 1)
    np.testing.assert_allclose(packed, apart, atol=2e-6, rtol=0)
    assert np.abs(decoder(ms.Tensor(ids)).asnumpy() - apart).max() > 0.05, "naive packing must differ"


def test_jit_equals_pynative():
    decoder = ours(model("qwen2"))
    ids = ms.Tensor(np.arange(12, dtype=np.int32).reshape(2, 6))

    @ms.jit
    def compiled(x):
        return decoder(x)

    np.testing.assert_allclose(compiled(ids).asnumpy(), decoder(ids).asnumpy(), atol=1e-6, rtol=0)


def test_padding_rows_of_the_vocabulary_do_not_show():
    made = model("qwen2", tie_word_embeddings=True)
    state = mcore(made)
    table = state["embedding.word_embeddings.weight"]
    state["embedding.word_embeddings.weight"] = np.concatenate([table, table[-1:].repeat(3, 0)])
    decoder = Decoder(model_config.from_config(made.config.to_dict()), padded_vocab=len(table) + 3)
    load_state(decoder, state)
    ids = ms.Tensor(np.arange(6, dtype=np.int32)[None])
    np.testing.assert_allclose(decoder(ids).asnumpy(), ours(made)(ids).asnumpy(), atol=1e-6, rtol=0)


def test_state_comes_back_and_a_wrong_one_is_named():
    made = model("llama", tie_word_embeddings=False)
    decoder, state = ours(made), mcore(made)
    for name, array in state_dict(decoder).items():
        np.testing.assert_array_equal(array, state.pop(name))
    assert not state
    state = mcore(made)
    state["decoder.layers.1.mlp.linear_fc2.weight"] = np.zeros((2, 2), np.float32)
    with pytest.raises(Problem, match=r"layers\.1\.mlp\.linear_fc2[\s\S]*\(2, 2\)[\s\S]*\(24, 40\)"):
        load_state(decoder, state)
    with pytest.raises(Problem, match="no such tensor"):
        load_state(decoder, {})


def test_parameter_count():
    for family, tied in [("qwen2", True), ("llama", False), ("qwen3", True)]:
        made = model(family, tie_word_embeddings=tied)
        counted = sum(p.numel() for p in made.parameters())
        assert model_config.from_config(made.config.to_dict()).num_parameters == counted
