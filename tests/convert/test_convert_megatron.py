"""The referee: Megatron-core's GPTModel loads our rank files strictly and computes transformers' logits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from convert_parts import HF, make_model, tensors
from lazy import Lazy
from places import SUPPORT
from safetensors.numpy import save_file

from distillery.convert import convert, logits
from distillery.convert.dtypes import BF16
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import open_hf

torch = Lazy("torch")
transformers = Lazy("transformers")

pytestmark = pytest.mark.slow

IDS = (np.arange(24) * 7919 + 13).reshape(2, 12)
CASES = [("tiny", 1, 1), ("tiny", 2, 1), ("tiny", 1, 2), ("tiny_tied", 1, 2), ("tiny_v1001", 2, 1)]
CASES += [("qwen3", 2, 1)]  # norms of heads; made here, for want of one that the reference wrote


def weights(base: Path, model: str) -> Path:
    if model != "qwen3":
        return HF / model
    made = base / "hf" / model
    if not made.is_dir():
        make_model(made, model_type=model, head_dim=8)
        # of a trained model's size, as those of the reference are: sums then lose fewer bits
        quarter = ml_dtypes.bfloat16(0.25)
        save_file({name: one * quarter for name, one in tensors(made).items()}, made / "model.safetensors")
    return made


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    """A folder for each case, with Megatron's logits where it loaded the weights."""
    base = tmp_path_factory.mktemp("megatron")
    folders = [base / f"{model}-{tp}-{pp}" for model, tp, pp in CASES]
    for folder, (model, tp, pp) in zip(folders, CASES, strict=True):
        convert.to_mcore(open_hf(weights(base, model)), Layout(tp, pp), BF16, folder / "mcore", facts={})
    subprocess.run([sys.executable, SUPPORT / "convert_megatron.py", *folders], check=True, timeout=300)
    return base


@pytest.mark.parametrize(("model", "tp", "pp"), CASES)
def test_strict_load_and_logits(judged, model, tp, pp):
    oracle = transformers.AutoModelForCausalLM.from_pretrained(weights(judged, model), dtype=torch.float32)
    with torch.no_grad():
        wanted = oracle(torch.from_numpy(IDS % oracle.config.vocab_size)).logits.numpy()
    found = np.load(judged / f"{model}-{tp}-{pp}/logits.npy")[:, :, : wanted.shape[-1]]
    assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-6


@pytest.mark.parametrize(("model", "layout"), [("tiny_kv4", Layout(4, 1)), ("tiny", Layout(2, 2, (1, 3)))])
def test_our_own_reading_of_the_shards_agrees_too(model, layout, tmp_path):
    convert.to_mcore(open_hf(HF / model), layout, BF16, tmp_path / "mg", facts={})
    assert logits.check(HF / model, tmp_path / "mg")["max_relative_difference"] < 1e-6
