"""The GGUF files and the bf16 copy that bench_generate.py gives its sides hold the model's own weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from places import ROOT
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(ROOT / "benchmarks"))
import gguf_file  # noqa: E402

from distillery import model_config  # noqa: E402
from distillery.convert import states  # noqa: E402
from distillery.fetch import gguf_model  # noqa: E402

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 50000.0,
    "vocab_size": 96,
    "tie_word_embeddings": False,
}


@pytest.fixture
def model(tmp_path) -> Path:
    h, f, kv, random = 64, 96, 32, np.random.RandomState(0)
    shapes = {"q_proj": (h, h), "k_proj": (kv, h), "v_proj": (kv, h), "o_proj": (h, h)}
    shapes |= {"gate_proj": (f, h), "up_proj": (f, h), "down_proj": (h, f)}
    inner = {name: shapes.get(name.split(".")[-1], (h,)) for name in gguf_model.INNER.values()}
    outer = {name: (h,) if "norm" in name else (96, h) for name in gguf_model.OUTER.values()}
    layers = {f"model.layers.{i}.{name}.weight": shape for i in range(2) for name, shape in inner.items()}
    tensors = {name: random.standard_normal(shape).astype("f4") for name, shape in (outer | layers).items()}
    directory = tmp_path / "model"
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(CONFIG))
    return directory


@pytest.mark.parametrize("kind", gguf_file.KINDS)
def test_a_written_gguf_file_holds_the_model(model, tmp_path, kind):
    source = gguf_file.rounded(model, tmp_path / "narrow") if kind == "bf16" else model
    reader = gguf_model.open_file(gguf_file.write(source, tmp_path / "made.gguf", kind))
    assert gguf_model.size(reader, "llama.vocab_size") == 96
    assert gguf_model.field(reader, "llama.rope.freq_base") == 50000.0
    sizes = {key: CONFIG[key] for key in CONFIG if key.startswith(("num_", "tie_"))}
    found, wanted = gguf_model.weights(reader, sizes), load_file(model / "model.safetensors")
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        if (
            kind == "q8_0" and one.ndim == 2
        ):  # blocks of 32 share a scale, of which a weight is off by half at most
            assert np.abs(found[name] - one).max() < np.abs(one).max() / 127
        else:
            exact = one.astype(ml_dtypes.bfloat16).astype("f4") if kind == "bf16" else one
            assert np.array_equal(found[name], exact), name


def test_the_engine_reads_the_rounded_copy_as_bf16(model, tmp_path):
    narrow = gguf_file.rounded(model, tmp_path / "narrow")
    assert model_config.read(narrow) == model_config.read(model)
    state, original = states.load_state(narrow), states.load_state(model)
    for name, one in original.items():
        assert state[name].dtype == ml_dtypes.bfloat16
        assert np.array_equal(state[name], one.astype(ml_dtypes.bfloat16)), name
