"""What the weights of a model must be: its sizes, its families, and every Hugging Face tensor's shape.

A family is one entry of FAMILIES; a kind of tensor is one `Rule` of `layer_rules`. Both directions, both
formats and all checks derive from these.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.files import read_json
from distillery.problems import Problem

EMBEDDING, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


@dataclass(frozen=True)
class Architecture:
    """Sizes in elements; names as in Megatron's arguments."""

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    kv_channels: int
    vocab_size: int
    tied: bool
    qkv_bias: bool
    max_position_embeddings: int = 4096
    norm_epsilon: float = 1e-6
    rotary_base: float = 10000.0

    def __post_init__(self) -> None:
        if self.num_attention_heads % self.num_query_groups:
            raise Problem(
                "attention heads cannot be shared evenly among key/value groups",
                where="num_attention_heads, num_key_value_heads",
                found=f"{self.num_attention_heads} heads, {self.num_query_groups} groups",
                wanted="heads a multiple of groups",
            )


@dataclass(frozen=True)
class Rule:
    """One MCore tensor of a layer and the Hugging Face tensors it is made of.

    kind: `replicated` (each rank has all), `rows` or `columns` (split by tensor rank), `qkv` (per group its
    query heads, then key, then value; split by groups), `gated` (rows of gate, then rows of up, each split
    before they are joined).
    """

    mcore: str
    kind: str
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """What config.json alone does not say: which models have biases on q, k, v, and what is not convertible."""

    qkv_bias: Callable[[dict[str, Any]], bool]
    refused: tuple[str, ...] = ()


FAMILIES = {
    "qwen2": Family(qkv_bias=lambda config: True),
    # in Llama attention_bias also puts a bias on o_proj, mlp_bias on the MLP: MCore's layout has neither
    "llama": Family(qkv_bias=lambda config: False, refused=("attention_bias", "mlp_bias")),
}


def layer_rules(architecture: Architecture) -> tuple[Rule, ...]:
    """The tensors of a layer, in the order of the reference's rank files (specification table of Megatron)."""
    attention = "self_attn.{}_proj.{}".format
    return (
        Rule("input_layernorm.weight", "replicated", ("input_layernorm.weight",)),
        Rule("self_attention.linear_proj.weight", "columns", (attention("o", "weight"),)),
        *(
            Rule(f"self_attention.linear_qkv.{leaf}", "qkv", tuple(attention(p, leaf) for p in "qkv"))
            for leaf in (("weight", "bias") if architecture.qkv_bias else ("weight",))
        ),
        Rule("pre_mlp_layernorm.weight", "replicated", ("post_attention_layernorm.weight",)),
        Rule("mlp.linear_fc1.weight", "gated", ("mlp.gate_proj.weight", "mlp.up_proj.weight")),
        Rule("mlp.linear_fc2.weight", "columns", ("mlp.down_proj.weight",)),
    )


def layer_shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """Shapes of the Hugging Face tensors of one layer by the name after `model.layers.N.`."""
    heads, groups = a.num_attention_heads * a.kv_channels, a.num_query_groups * a.kv_channels
    rows = {"q": heads, "k": groups, "v": groups}
    shapes: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (a.hidden_size,)}
    for part, size in rows.items():
        shapes[f"self_attn.{part}_proj.weight"] = (size, a.hidden_size)
        if a.qkv_bias:
            shapes[f"self_attn.{part}_proj.bias"] = (size,)
    return shapes | {
        "self_attn.o_proj.weight": (a.hidden_size, heads),
        "post_attention_layernorm.weight": (a.hidden_size,),
        "mlp.gate_proj.weight": (a.ffn_hidden_size, a.hidden_size),
        "mlp.up_proj.weight": (a.ffn_hidden_size, a.hidden_size),
        "mlp.down_proj.weight": (a.hidden_size, a.ffn_hidden_size),
    }


def shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
    """Every tensor that a Hugging Face directory of this architecture holds, in the order it is written."""
    table: dict[str, tuple[int, ...]] = {EMBEDDING: (a.vocab_size, a.hidden_size)}
    for layer in range(a.num_layers):
        table |= {f"model.layers.{layer}.{name}": shape for name, shape in layer_shapes(a).items()}
    table[NORM] = (a.hidden_size,)
    if not a.tied:
        table[HEAD] = (a.vocab_size, a.hidden_size)
    return table


def elements(a: Architecture) -> int:
    """Parameters of the Hugging Face model, a tied embedding counted once."""
    return sum(math.prod(shape) for shape in shapes(a).values())


def read(directory: Path) -> Architecture:
    """The architecture that a Hugging Face directory's config.json names.

    Raises:
        Problem: no config.json, a family or feature that has no MCore mapping here.
    """
    path = directory / "config.json"
    if not path.is_file():
        raise Problem(
            "the model has no config.json",
            where=path,
            fix="point to a complete Hugging Face directory; with --load-model-type mg, to the original model",
        )
    return from_config(read_json(path), path)


def from_config(config: dict[str, Any], where: object = "config.json") -> Architecture:
    """As `read`; keys as transformers 4 and 5 write them are both understood."""
    family = FAMILIES.get(config.get("model_type", ""))
    if family is None:
        raise Problem(
            "this model family has no mapping to MCore names",
            where=f"{where}, model_type",
            found=config.get("model_type"),
            wanted=" or ".join(FAMILIES),
            fix="add the family to FAMILIES in distillery/convert/architecture.py",
        )
    for key in (*family.refused, "quantization_config"):
        if config.get(key):
            raise Problem(
                "the model has tensors that the MCore layout has no place for",
                where=f"{where}, {key}",
                found=config[key],
                wanted=f"{key} absent or false",
            )
    rope = config.get("rope_parameters") or {}
    heads = config["num_attention_heads"]
    return Architecture(
        num_layers=config["num_hidden_layers"],
        hidden_size=config["hidden_size"],
        ffn_hidden_size=config["intermediate_size"],
        num_attention_heads=heads,
        num_query_groups=config.get("num_key_value_heads") or heads,
        kv_channels=config.get("head_dim") or config["hidden_size"] // heads,
        vocab_size=config["vocab_size"],
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family.qkv_bias(config),
        max_position_embeddings=config.get("max_position_embeddings", 2048),
        norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        rotary_base=float(config.get("rope_theta", rope.get("rope_theta", 10000.0))),
    )


def from_args(args: Namespace, num_layers: int, padded_vocab_size: int, where: object) -> Architecture:
    """The architecture of an MCore checkpoint, from its saved arguments.

    Args:
        num_layers: layers found in the rank files; `args.num_layers` counts empty ones too.
        padded_vocab_size: rows of the whole embedding; the vocabulary's size where the args keep silent.

    Raises:
        Problem: the arguments lack a size.
    """
    saved = vars(args)
    try:
        heads = int(saved["num_attention_heads"])
        hidden = int(saved["hidden_size"])
        grouped = saved.get("group_query_attention", True) and saved.get("num_query_groups")
        return Architecture(
            num_layers=num_layers,
            hidden_size=hidden,
            ffn_hidden_size=int(saved["ffn_hidden_size"]),
            num_attention_heads=heads,
            num_query_groups=int(grouped or heads),
            kv_channels=int(saved.get("kv_channels") or hidden // heads),
            vocab_size=int(saved.get("vocab_size") or padded_vocab_size),
            tied=not saved.get("untie_embeddings_and_output_weights", False),
            qkv_bias=bool(saved.get("add_qkv_bias", False)),
            max_position_embeddings=int(saved.get("max_position_embeddings") or 4096),
            norm_epsilon=float(saved.get("norm_epsilon", 1e-6)),
            rotary_base=float(saved.get("rotary_base") or 10000.0),
        )
    except KeyError as missing:
        raise Problem(
            "the checkpoint's saved arguments lack a size",
            where=f"{where}, args",
            found=f"no {missing.args[0]}",
            fix="convert again from the Hugging Face weights",
        ) from None
