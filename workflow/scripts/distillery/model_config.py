"""A Hugging Face config.json, read as transformers reads it: the architecture, or what nothing here can do with it.

Converter, engine and plan read models here and nowhere else, so all three refuse the same, and before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import digests, rotary
from distillery.architecture import Architecture
from distillery.json_files import Record
from distillery.problems import Problem


@dataclass(frozen=True)
class Family:
    """What config.json does not say of a model_type, and transformers' defaults of absent keys.

    Attributes:
        num_query_groups: None is as many as heads, which is also what a null in config.json means.
        head_dim: None is hidden_size / num_attention_heads.
        attends: how a sliding window is said: "switch" if use_sliding_window must be true as well, "key" if
            `sliding_window` alone says it, "" if the family has none.
        refused: keys that give it biases which the MCore layout has no place for.
    """

    max_position_embeddings: int
    num_query_groups: int | None
    add_qkv_bias: bool = False
    qk_layernorm: bool = False
    head_dim: int | None = None
    attends: str = ""
    refused: tuple[str, ...] = ()


WINDOW = 4096  # where a family that has sliding windows is silent
# Qwen2Config, Qwen3Config, LlamaConfig and MistralConfig of transformers 5.23 (the same in 4.x); in Llama and Qwen3
# attention_bias also puts a bias on o_proj
FAMILIES = {
    "qwen2": Family(32768, 32, add_qkv_bias=True, attends="switch"),
    "qwen3": Family(
        32768, 32, qk_layernorm=True, head_dim=128, attends="switch", refused=("attention_bias",)
    ),
    "llama": Family(2048, None, refused=("attention_bias", "mlp_bias")),
    "mistral": Family(131072, 8, attends="key"),
}
SCALINGS = ("default", "linear", "llama3", "yarn")  # kinds of RoPE in engine/rope.py
NEEDED = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
# far beyond any model: what a damaged file says must not be enumerated
MOST = {
    "vocab_size": 10**8,
    "hidden_size": 10**6,
    "intermediate_size": 10**7,
    "num_hidden_layers": 10**4,
    "num_attention_heads": 10**5,
    "num_key_value_heads": 10**5,
    "head_dim": 10**5,
    "max_position_embeddings": 10**9,
}


def read(directory: Path) -> Architecture:
    """The architecture of a Hugging Face model directory.

    Raises:
        Problem: there is no config.json; and as `from_config`.
    """
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise Problem(
            "the model has no config.json",
            where=path,
            fix="point to a complete Hugging Face directory; for an MCore checkpoint, to that of the original model",
        )
    return from_config(digests.read_json(path), path)


def from_config(config: Mapping[str, Any], where: object = "config.json") -> Architecture:
    """As `read`, from the parsed config.json, by the rules of transformers 5.

    `rope_scaling`, transformers 4's name, is `rope_parameters`, and what stands in that dictionary goes before the
    same key outside of it.

    Raises:
        Problem: a family that is not in FAMILIES, a feature that no decoder or layout here has, a missing size, sizes
            that do not fit one another.
    """
    config = Record(config).at(where)
    family = FAMILIES.get(config.typed("model_type", str, ""))
    if family is None:
        raise Problem(
            "this model family has neither a decoder nor a mapping to MCore names here",
            where=f"{where}, model_type",
            found=config.get("model_type"),
            wanted=" or ".join(FAMILIES),
            fix="choose a dense model of one of these; CONTRIBUTING.md says how a family is added",
        )
    rope = rotary.read(config)
    kind = rope.typed("rope_type", str, rope.typed("type", str, "default"))
    _refuse(config, family, rope, kind)
    if missing := [key for key in NEEDED if config.get(key) is None]:
        raise Problem(
            "config.json lacks sizes of the model",
            where=where,
            found=f"no {', '.join(missing)}",
            fix="fetch config.json again",
        )

    def size(key: str, default: int | None = None) -> int:
        return config.typed(key, int, default, least=1, most=MOST[key])

    hidden, heads = size("hidden_size"), size("num_attention_heads")
    groups = heads if "num_key_value_heads" in config else family.num_query_groups or heads
    return Architecture(
        num_layers=size("num_hidden_layers"),
        hidden_size=hidden,
        ffn_hidden_size=size("intermediate_size"),
        num_attention_heads=heads,
        num_query_groups=size("num_key_value_heads", groups),
        kv_channels=size("head_dim", family.head_dim or max(1, hidden // heads)),
        vocab_size=size("vocab_size"),
        untie_embeddings_and_output_weights=not config.typed("tie_word_embeddings", bool, False),
        add_qkv_bias=family.add_qkv_bias,
        max_position_embeddings=size("max_position_embeddings", family.max_position_embeddings),
        norm_epsilon=float(config.typed("rms_norm_eps", float, 1e-6, least=0)),
        rotary_base=float(
            rope.typed("rope_theta", float, config.typed("rope_theta", float, 10000.0, least=1), least=1)
        ),
        rope_scaling=() if kind == "default" else tuple(sorted({**rope, "rope_type": kind}.items())),
        qk_layernorm=family.qk_layernorm,
        sliding_window=_window(config, family),
    ).checked(where)


def _window(config: Record, family: Family) -> int | None:
    """A null says that there is no window, silence that it is the family's."""
    switch = family.attends == "switch"
    slides = config.typed("use_sliding_window", bool, False) if switch else family.attends
    if not slides or config.get("sliding_window", WINDOW) is None:
        return None
    return config.typed("sliding_window", int, WINDOW, least=1, most=MOST["max_position_embeddings"])


def _refuse(config: Record, family: Family, rope: Record, kind: str) -> None:
    """What neither the decoder computes nor the MCore layout has a place for."""
    act = config.get("hidden_act", "silu")
    faults = [] if kind in SCALINGS else [(f"{rope.where}, rope_type", kind, ", ".join(SCALINGS))]
    faults += [] if act == "silu" else [(f"{config.where}, hidden_act", act, "silu")]
    for key in (*family.refused, "quantization_config"):
        if config.get(key):
            faults.append((f"{config.where}, {key}", config[key], f"{key} absent or false"))
    for where, found, wanted in faults:
        raise Problem(
            "the model has a feature for which there is neither a decoder nor a place in the MCore layout",
            where=where,
            found=found,
            wanted=wanted,
            fix="choose a model without it",
        )
