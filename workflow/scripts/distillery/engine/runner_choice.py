"""The choice of a runner for generation: native layers on a CPU with a compiler, composed ops anywhere else."""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
import numpy as np

from distillery.architecture import Architecture
from distillery.checkpoint_names import TABLES
from distillery.engine import compiling, panels
from distillery.engine.cache import CachedDecoder
from distillery.engine.decoder import Decoder, load_state
from distillery.engine.mesh import Mesh
from distillery.engine.native_cache import NativeDecoder
from distillery.engine.slots import Slots
from distillery.problems import Problem

ALONE = Mesh()
TOLERANCE = 1e-4  # of logits of size 1; float32 sums in another order differ by about 1e-6


def build(
    arch: Architecture,
    state: Mapping[str, np.ndarray],
    slots: int,
    length: int,
    *,
    device: str = "CPU",
    kernels: str = "auto",
    mesh: Mesh = ALONE,
    kv_cache_dtype: str = "fp32",
    weights: str = panels.STORED,
) -> Slots:
    """A model with a cache for `slots` sequences of at most `length` tokens.

    Args:
        state: {MCore name: array} of the whole model, or this rank's part.
        device: what MindSpore was told to run on, which it takes once per process.
        kernels: auto, native or composed. `auto` falls back to composed ops and says why.
        mesh: this rank's place, without data parallelism.
        kv_cache_dtype: fp32, or bf16, which native kernels know.
        weights: stored, or int8, which they know too.

    Raises:
        Problem: native kernels are asked for and cannot be built, or are wrong on this machine; a bf16 cache or int8 weights without.
    """
    if device == "CPU" and kernels != "composed" and compiling.usable(compiling.DECODING, kernels):
        _verify()
        return NativeDecoder(arch, state, slots, length, mesh, kv_cache_dtype, weights)
    if kv_cache_dtype != "fp32":
        raise Problem(
            "composed kernels keep keys and values in fp32 only",
            where="--kv-cache-dtype",
            found=kv_cache_dtype,
            wanted="fp32, or native kernels: a CPU and a C++ compiler",
            fix="leave --kv-cache-dtype out, or use --kernels native",
        )
    if weights != panels.STORED:
        raise Problem(
            "composed kernels compute with weights as they are stored",
            where="--weights",
            found=weights,
            wanted=f"{panels.STORED}, or native kernels: a CPU and a C++ compiler",
            fix="leave --weights out, or use --kernels native",
        )
    rows = max((len(state[name]) for name in TABLES if name in state), default=0)
    layers = sum(name.endswith("linear_proj.weight") for name in state)
    model = Decoder(arch, padded_vocab=rows * mesh.tensor, mesh=mesh, num_layers=layers)
    load_state(model, state)
    return CachedDecoder(model, slots, length, mesh)


def _verify() -> None:
    """Compare native and composed layers on a small random model.

    Raises:
        Problem: their logits differ.
    """
    arch = Architecture(
        num_layers=1,
        hidden_size=24,
        ffn_hidden_size=40,
        num_attention_heads=4,
        num_query_groups=2,
        kv_channels=6,
        vocab_size=50,
        untie_embeddings_and_output_weights=True,
        add_qkv_bias=True,
        max_position_embeddings=128,
    )
    model = Decoder(arch)
    random = np.random.RandomState(0)
    state = {name: random.randn(*p.shape).astype(np.float32) for name, p in model.parameters_and_names()}
    state = {name: array / np.float32(max(array.shape[-1], 1) ** 0.5) for name, array in state.items()}
    load_state(model, state)
    ids = random.randint(0, 50, (1, 70)).astype(np.int32)
    wanted = model(ms.Tensor(ids))[0, -1].asnumpy()
    found = NativeDecoder(arch, state, 2, 80, ALONE).extend({1: ids[0]}, greedy=False)[1]
    error = float(np.abs(wanted - found).max())
    if not error < TOLERANCE:
        raise Problem(
            "the native kernels are wrong on this machine",
            where=compiling.DECODING.name,
            found=f"logits differ by {error:.1e}",
            wanted=f"below {TOLERANCE:.0e}",
            fix="use --kernels composed, and report the CPU and compiler",
        )
