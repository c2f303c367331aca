"""Weights of several types in one model: bf16 matrices beside fp32 norms, as trainers and quantisers leave them."""

import ml_dtypes
import numpy as np
import pytest
from convert_parts import TO_HF, TO_MG, convert, make_model, tensors
from safetensors.numpy import save_file

from distillery.convert import states


@pytest.fixture
def mixed(tmp_path):
    """fp32 norms with bits that bf16 lacks, and within one fused tensor an fp32 matrix between bf16 ones."""
    hf = make_model(tmp_path / "hf", model_type="qwen3", head_dim=6)
    weights, rng = tensors(hf), np.random.default_rng(1)
    for name, one in weights.items():
        if "norm" in name or name.endswith("1.self_attn.k_proj.weight"):
            weights[name] = rng.standard_normal(one.shape).astype(np.float32)
    save_file(weights, hf / "model.safetensors")
    return hf, weights


@pytest.mark.parametrize(
    ("dtype", "numpy"), [("bf16", ml_dtypes.bfloat16), ("fp32", np.float32), ("fp16", np.float16)]
)
def test_they_become_the_type_that_is_asked_for(mixed, dtype, numpy, tmp_path):
    hf, weights = mixed
    size = ["--target-tensor-parallel-size", 2, "--target-pipeline-parallel-size", 2]
    said = convert(*TO_MG, *size, "--params-dtype", dtype, "--load-dir", hf, "--save-dir", tmp_path / "mg")
    assert f"to {dtype}, as --params-dtype says" in said and "fp32 (model." in said
    convert(*TO_HF, "--load-dir", tmp_path / "mg", "--save-dir", tmp_path / "out", "--hf-cfg-dir", hf)
    found = tensors(tmp_path / "out")
    assert found.keys() == weights.keys()
    for name, one in weights.items():
        assert found[name].dtype.name == np.dtype(numpy).name, name
        wanted = one.astype(np.float32).astype(numpy).astype(np.float32)
        np.testing.assert_array_equal(found[name].astype(np.float32), wanted, err_msg=name)
    proved = ["--hf-dir", hf, "--mcore-dir", tmp_path / "mg"]
    if dtype == "fp32":
        assert "tensors equal by sha256" in convert(*proved, command="convert_verify.py")
    else:  # bits were lost, as was asked for; the proof says where
        assert "--params-dtype fp32" in convert(*proved, command="convert_verify.py", code=1)


def test_without_a_type_they_are_named_and_nothing_is_written(mixed, tmp_path):
    said = convert(*TO_MG, "--load-dir", mixed[0], "--save-dir", tmp_path / "mg", code=2)
    for part in ("not of one type", "bf16 (", "fp32 (model.", "--params-dtype"):
        assert part in said
    assert not (tmp_path / "mg").exists()


def test_generation_reads_each_tensor_in_its_own_type(mixed):
    hf, weights = mixed
    state = states.load_state(hf)
    norm = state["decoder.final_layernorm.weight"]
    assert norm.tobytes() == weights["model.norm.weight"].tobytes()
    first, second = (state[f"decoder.layers.{i}.self_attention.linear_qkv.weight"] for i in range(2))
    assert first.dtype == ml_dtypes.bfloat16 and second.dtype == np.float32
    key = weights["model.layers.1.self_attn.k_proj.weight"]
    # two groups of two query heads, a key and a value of 6 rows each
    np.testing.assert_array_equal(second.reshape(2, 4, 6, -1)[:, 2].reshape(key.shape), key)
