"""The Hugging Face tensors of a model, their shapes, and which MCore tensors they become.

A kind of tensor is one `Rule` of `layer_rules`. Both directions, both formats and all checks derive from these.
"""

from __future__ import annotations

from dataclasses import dataclass

from distillery.architecture import Architecture

EMBEDDING, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


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


def layer_rules(a: Architecture) -> tuple[Rule, ...]:
    """The tensors of a layer, in the order of the reference's rank files (specification table of Megatron)."""
    attention = "self_attn.{}_proj.{}".format
    return (
        Rule("input_layernorm.weight", "replicated", ("input_layernorm.weight",)),
        Rule("self_attention.linear_proj.weight", "columns", (attention("o", "weight"),)),
        *(
            Rule(f"self_attention.linear_qkv.{leaf}", "qkv", tuple(attention(p, leaf) for p in "qkv"))
            for leaf in (("weight", "bias") if a.add_qkv_bias else ("weight",))
        ),
        *(
            Rule(f"self_attention.{part}_layernorm.weight", "replicated", (f"self_attn.{part}_norm.weight",))
            for part in ("qk" if a.qk_layernorm else "")
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
        if a.add_qkv_bias:
            shapes[f"self_attn.{part}_proj.bias"] = (size,)
        if a.qk_layernorm and part != "v":
            shapes[f"self_attn.{part}_norm.weight"] = (a.kv_channels,)
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
