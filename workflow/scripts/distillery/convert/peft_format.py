"""Trained adapters as a directory that PEFT reads: adapter_config.json and adapter_model.safetensors.

PEFT's names are those of Hugging Face's matrices. One of MCore's that holds several, q, k and v or gate and up, has one A and
rows of one B for each: as PEFT has adapters, each gets that A and its own rows.
Source: https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from distillery import files, safetensors_files
from distillery.architecture import Architecture
from distillery.lora import Lora

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# of MCore's matrix: Hugging Face's
MODULES = {
    "linear_qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "linear_proj": ("self_attn.o_proj",),
    "linear_fc1": ("mlp.gate_proj", "mlp.up_proj"),
    "linear_fc2": ("mlp.down_proj",),
}


def write(directory: Path, adapters: Mapping[str, np.ndarray], lora: Lora, arch: Architecture) -> list[str]:
    """Write both files; returns their names.

    Args:
        adapters: {"decoder.layers.N.[...]linear_qkv.lora_A": float32 array, ...} of the whole model.
    """
    directory.mkdir(parents=True, exist_ok=True)
    safetensors_files.save(dict(_tensors(adapters, arch)), directory / WEIGHTS)
    modules = [name.rpartition(".")[2] for target in lora.targets for name in MODULES[target]]
    config = {
        "base_model_name_or_path": None,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "lora_alpha": lora.alpha,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": lora.rank,
        "target_modules": modules,
        "task_type": "CAUSAL_LM",
        "use_rslora": False,
    }
    files.write_json(directory / CONFIG, config)
    return [CONFIG, WEIGHTS]


def _tensors(adapters: Mapping[str, np.ndarray], arch: Architecture) -> Iterator[tuple[str, np.ndarray]]:
    for name, array in adapters.items():
        layer, target, kind = re.fullmatch(
            r"decoder\.layers\.(\d+)\..*(linear_\w+)\.lora_([AB])", name
        ).groups()
        parts = [array] * len(MODULES[target]) if kind == "A" else _rows(array, target, arch)
        for module, part in zip(MODULES[target], parts, strict=True):
            path = f"base_model.model.model.layers.{layer}.{module}.lora_{kind}.weight"
            yield path, np.ascontiguousarray(part)


def _rows(b: np.ndarray, target: str, a: Architecture) -> list[np.ndarray]:
    """B [out, rank] of one of MCore's matrices as those of Hugging Face's."""
    if target == "linear_fc1":
        return [b[: a.ffn_hidden_size], b[a.ffn_hidden_size :]]
    if target != "linear_qkv":
        return [b]
    heads = b.reshape(a.num_query_groups, a.repeats + 2, a.kv_channels, -1)
    parts = heads[:, :-2], heads[:, -2:-1], heads[:, -1:]
    return [part.reshape(-1, b.shape[1]) for part in parts]
