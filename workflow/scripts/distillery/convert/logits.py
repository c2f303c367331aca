"""The logits of rank files, computed here in numpy as their layout says, against transformers on the original.

An independent reading: it follows Megatron's own way through the shards (interleaved query groups, gate above
up, partial sums over tensor ranks, stage after stage) and knows nothing of how they were made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distillery import model_config
from distillery.convert.rank_files import iteration_directory, read_ranks
from distillery.convert.states import mapped
from distillery.convert.torchfile import Stored
from distillery.convert.weight_sources import open_mcore
from distillery.problems import Problem

LARGEST = 1_000_000_000  # parameters: 4 GB in float32 for transformers, the mapped shards beside it
TOLERANCE = 1e-6

Shards = list[dict[str, np.ndarray]]  # one stage's tensors, per tensor rank


def check(hf_dir: Path, mcore_dir: Path) -> dict[str, Any]:
    """{"max_relative_difference", "tolerance", "positions"}; relative to the largest logit.

    Raises:
        Problem: transformers with torch is not installed, the model is too large for a check in memory, or
            the logits differ.
    """
    a = model_config.read(hf_dir)
    if a.num_parameters > LARGEST:
        raise Problem(
            "too large to compare logits in memory",
            where=hf_dir,
            found=f"{a.num_parameters:,} parameters",
            wanted=f"at most {LARGEST:,}",
            fix="drop --check-logits: the round trip proves every byte of any size",
        )
    ids = (np.arange(32) * 7919 + 13).reshape(2, 16) % a.vocab_size
    wanted, frequencies, scaling = _transformers(hf_dir, ids)
    found = forward(mcore_dir, ids, frequencies, scaling)[:, :, : a.vocab_size]
    difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if not difference <= TOLERANCE:
        raise Problem(
            "the checkpoint computes other logits than the original model",
            where=mcore_dir,
            found=f"relative difference {difference:.2e}",
            wanted=f"at most {TOLERANCE:g}",
            fix="convert again from these Hugging Face weights, in fp32 or their own type",
        )
    return {
        "max_relative_difference": float(f"{difference:.1e}"),
        "tolerance": TOLERANCE,
        "positions": ids.size,
    }


def _transformers(directory: Path, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(logits, rotary inverse frequencies, rotary scaling of the attention)."""
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError as error:
        raise Problem(
            "--check-logits needs transformers with torch, which conversion itself never needs",
            found=str(error),
            fix="install the test requirements (make setup-dev), or drop --check-logits",
        ) from None
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    rotary = model.model.rotary_emb
    with torch.no_grad():
        logits = model(torch.from_numpy(ids)).logits.double().numpy()
    return logits, rotary.inv_freq.double().numpy(), float(rotary.attention_scaling)


def forward(directory: Path, ids: np.ndarray, frequencies: np.ndarray, scaling: float = 1.0) -> np.ndarray:
    """Logits [batch, seq, padded vocab] in float64 of an MCore checkpoint for ids [batch, seq]."""
    source = open_mcore(directory)
    a, grid = source.architecture, source.grid
    assert grid is not None
    ranks = read_ranks(iteration_directory(directory))
    stages = [
        [
            [
                {n: mapped(s) for n, s in ranks[t, p].chunks[c].items() if isinstance(s, Stored)}
                for t in range(grid.tensor_parallel_size)
            ]
            for c in range(len(grid.stages[p]))
        ]
        for p in range(grid.pipeline_parallel_size)
    ]
    embedding = np.concatenate([_f(shard, "embedding.word_embeddings.weight") for shard in stages[0][0]])
    x = embedding[ids]
    angles = np.arange(ids.shape[1])[:, None] * np.concatenate([frequencies, frequencies])[None]
    rotation = np.cos(angles) * scaling, np.sin(angles) * scaling
    for c in range(len(stages[0])):
        for p, stage in enumerate(stages):
            for local, _ in grid.stages[p][c]:
                x = _layer(x, stage[c], f"decoder.layers.{local}.", a, rotation)
    last = stages[-1][-1]
    x = _norm(x, _f(last[0], "decoder.final_layernorm.weight"), a.norm_epsilon)
    head = "output_layer.weight"
    matrix = np.concatenate([_f(shard, head) for shard in last]) if head in last[0] else embedding
    return x @ matrix.T


def _f(shard: dict[str, np.ndarray], name: str) -> np.ndarray:
    return shard[name].astype(np.float64)


def _norm(x: np.ndarray, weight: np.ndarray, eps: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def _layer(x: np.ndarray, shards: Shards, prefix: str, a: Any, rotation: tuple) -> np.ndarray:
    y = _norm(x, _f(shards[0], prefix + "input_layernorm.weight"), a.norm_epsilon)
    x = x + sum(
        _attention(y, shard, prefix + "self_attention.", a, len(shards), rotation) for shard in shards
    )
    y = _norm(x, _f(shards[0], prefix + "pre_mlp_layernorm.weight"), a.norm_epsilon)
    return x + sum(_mlp(y, shard, prefix + "mlp.") for shard in shards)


def _attention(
    x: np.ndarray, shard: dict[str, np.ndarray], prefix: str, a: Any, tp: int, rotation: tuple
) -> np.ndarray:
    groups, repeats, d = a.num_query_groups // tp, a.num_attention_heads // a.num_query_groups, a.kv_channels
    qkv = x @ _f(shard, prefix + "linear_qkv.weight").T
    if a.add_qkv_bias:
        qkv = qkv + _f(shard, prefix + "linear_qkv.bias")
    qkv = qkv.reshape(*x.shape[:2], groups, repeats + 2, d)
    q, k = qkv[..., :repeats, :], qkv[..., repeats : repeats + 1, :]
    if a.qk_layernorm:
        q = _norm(q, _f(shard, prefix + "q_layernorm.weight"), a.norm_epsilon)
        k = _norm(k, _f(shard, prefix + "k_layernorm.weight"), a.norm_epsilon)
    q, k = _rotate(q, rotation), _rotate(k, rotation)
    scores = np.einsum("bsgrd,btgd->bgrst", q, k[..., 0, :]) / np.sqrt(d)
    scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    mixed = np.einsum("bgrst,btgd->bsgrd", weights, qkv[..., repeats + 1, :])
    return mixed.reshape(*x.shape[:2], -1) @ _f(shard, prefix + "linear_proj.weight").T


def _rotate(x: np.ndarray, rotation: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """[batch, seq, group, head, d] rotated in halves (RoPE as in GPT-NeoX, Llama and Qwen2)."""
    cos, sin = (part[None, :, None, None, :] for part in rotation)
    half = x.shape[-1] // 2
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return x * cos + turned * sin


def _mlp(x: np.ndarray, shard: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    gate, up = np.split(x @ _f(shard, prefix + "linear_fc1.weight").T, 2, axis=-1)
    return (gate / (1 + np.exp(-gate)) * up) @ _f(shard, prefix + "linear_fc2.weight").T
