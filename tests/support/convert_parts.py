"""Models and commands for the converter's tests."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import commands
import ml_dtypes
import numpy as np
from places import FIXTURES, SCRIPTS
from safetensors.numpy import load_file, save_file
from standin_mindspeed import msadapter

from distillery.convert import rank_files, states

DATA = FIXTURES / "convert"
HF = DATA / "hf"
TO_MG = ["--use-mcore-models", "--load-model-type", "hf", "--save-model-type", "mg"]
TO_HF = ["--use-mcore-models", "--load-model-type", "mg", "--save-model-type", "hf"]
RESHARD = ["--use-mcore-models", "--load-model-type", "mg", "--save-model-type", "mg"]


def convert(*words: object, code: int = 0, command: str = "convert_ckpt.py", **options) -> str:
    """Run a command, with options of subprocess.run in a process of its own; returns what it said on standard error."""
    if options:
        line = [sys.executable, str(SCRIPTS / command), *map(str, words)]
        done = subprocess.run(line, capture_output=True, text=True, **options)
    else:
        done = commands.here(command, *words)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr


def tensors(directory: Path) -> dict[str, np.ndarray]:
    """All weights of a Hugging Face directory, by another library than the one under test."""
    return {k: v for path in sorted(directory.glob("*.safetensors")) for k, v in load_file(path).items()}


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert found[name].tobytes() == value.tobytes(), name


def make_model(directory: Path, seed: int = 0, dtype=ml_dtypes.bfloat16, **config) -> Path:
    """A Hugging Face directory with random weights; shapes are written out here, not asked of the code under test."""
    c = {
        "model_type": "qwen2",
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 40,
        "tie_word_embeddings": False,
        "torch_dtype": {2: "bfloat16", 4: "float32"}[np.dtype(dtype).itemsize]
        if dtype != np.float16
        else "float16",
        **config,
    }
    rng = np.random.default_rng(seed)
    d = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    h, f, q, k = (
        c["hidden_size"],
        c["intermediate_size"],
        c["num_attention_heads"] * d,
        c["num_key_value_heads"] * d,
    )
    shapes = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    if not c["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (c["vocab_size"], h)
    for i in range(c["num_hidden_layers"]):
        layer = {
            "input_layernorm.weight": (h,),
            "post_attention_layernorm.weight": (h,),
            "self_attn.q_proj.weight": (q, h),
            "self_attn.k_proj.weight": (k, h),
            "self_attn.v_proj.weight": (k, h),
            "self_attn.o_proj.weight": (h, q),
            "mlp.gate_proj.weight": (f, h),
            "mlp.up_proj.weight": (f, h),
            "mlp.down_proj.weight": (h, f),
        }
        if c["model_type"] == "qwen2":
            layer |= {f"self_attn.{p}_proj.bias": (size,) for p, size in [("q", q), ("k", k), ("v", k)]}
        if c["model_type"] == "qwen3":
            layer |= {f"self_attn.{p}_norm.weight": (d,) for p in "qk"}
        shapes |= {f"model.layers.{i}.{name}": shape for name, shape in layer.items()}
    directory.mkdir(parents=True)
    weights = {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}
    save_file(weights, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(c))
    return directory


def trained(
    source: Path, target: Path, step: int = 20, spelling: str = "torch", distributed: bool = True
) -> Path:
    """The MCore checkpoint `source` as a training leaves it: MSAdapter's files, with the optimizer's and random states.

    Args:
        distributed: whether the optimizer is; its states then lie in a file beside the rank's own.
    """
    flags = {"no_save_optim": False, "no_save_rng": False, "use_distributed_optimizer": distributed}
    for (t, p), rank in rank_files.read_ranks(rank_files.iteration_directory(source)).items():
        state, args = states.load_rank(source, t, p)
        folder = target / f"iter_{step:07d}" / rank.path.parent.name
        msadapter.save_rank(folder, state, Namespace(**vars(args), **flags), step, spelling)
    (target / "latest_checkpointed_iteration.txt").write_text(f"{step}\n")
    return target
