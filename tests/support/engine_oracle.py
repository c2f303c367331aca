"""Transformers models with random weights, and their state in MCore names: the engine's oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
from lazy import Lazy

torch = Lazy("torch")
transformers = Lazy("transformers")

SMALL = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": None,  # a padding id would get no gradient in torch
}
KINDS = {"qwen2": "Qwen2Config", "qwen3": "Qwen3Config", "llama": "LlamaConfig", "mistral": "MistralConfig"}


def config_class(family: str) -> Any:
    """Transformers' class of a family's configurations."""
    return getattr(transformers, KINDS[family])


def model(family: str, seed: int = 0, **changes):
    """A float32 model in eval mode, every parameter random (biases and norms too), from a seed."""
    config = config_class(family)(**{**SMALL, **changes})
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    made = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            centre = 1.0 if "norm" in name else 0.0
            weight.copy_(centre + 0.2 * torch.randn_like(weight))
    return made


def mcore(made, tensors: dict[str, torch.Tensor] | None = None) -> dict[str, np.ndarray]:
    """MCore names and layout of a transformers model's parameters (or of `tensors`, e.g. gradients)."""
    config = made.config
    tensors = tensors or dict(made.named_parameters())
    part = {name: value.detach().float().numpy() for name, value in tensors.items()}
    heads, groups = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    state = {"embedding.word_embeddings.weight": part["model.embed_tokens.weight"]}
    for i in range(config.num_hidden_layers):
        old, new = f"model.layers.{i}.", f"decoder.layers.{i}."
        for kind in ("weight", "bias"):
            if f"{old}self_attn.q_proj.{kind}" in part:
                q, k, v = (part[f"{old}self_attn.{p}_proj.{kind}"] for p in "qkv")
                rest = q.shape[1:]
                grouped = [a.reshape(groups, -1, *rest) for a in (q, k, v)]
                state[f"{new}self_attention.linear_qkv.{kind}"] = np.concatenate(grouped, 1).reshape(
                    -1, *rest
                )
        assert q.shape[0] == heads * size or kind == "bias"
        for p in "qk":
            if f"{old}self_attn.{p}_norm.weight" in part:
                state[f"{new}self_attention.{p}_layernorm.weight"] = part[f"{old}self_attn.{p}_norm.weight"]
        state[f"{new}input_layernorm.weight"] = part[f"{old}input_layernorm.weight"]
        state[f"{new}self_attention.linear_proj.weight"] = part[f"{old}self_attn.o_proj.weight"]
        state[f"{new}pre_mlp_layernorm.weight"] = part[f"{old}post_attention_layernorm.weight"]
        fc1 = [part[f"{old}mlp.{p}_proj.weight"] for p in ("gate", "up")]
        state[f"{new}mlp.linear_fc1.weight"] = np.concatenate(fc1)
        state[f"{new}mlp.linear_fc2.weight"] = part[f"{old}mlp.down_proj.weight"]
    state["decoder.final_layernorm.weight"] = part["model.norm.weight"]
    if not config.tie_word_embeddings:
        state["output_layer.weight"] = part["lm_head.weight"]
    return state
