"""Weights and config of a Llama-family GGUF file as a Hugging Face Llama directory has them.

Format: ggml's docs/gguf.md; names of tensors and keys as llama.cpp's converter writes them. Two things
must be undone. Quantised tensors are dequantised to float32: a Q4_1 weight is d * q + m with d and m in
float16 and q of 4 bits, and a Q8_0 one d * q with q of 8 bits, 19 significant bits, which float32 holds
and bfloat16 (8 bits) does not. And ggml rotates neighbouring pairs of a head, Hugging Face rotates
halves, so the converter has interleaved the rows of q and k.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery.problems import Problem

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGUFReader

OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def config(reader: GGUFReader) -> dict[str, Any]:
    """config.json of a LlamaForCausalLM; an absent output.weight means a tied embedding.

    Raises:
        Problem: another architecture, scaled rotary embedding, or a missing key.
    """
    architecture = field(reader, "general.architecture")
    if architecture != "llama":
        raise Problem(
            "unsupported architecture", where="general.architecture", found=architecture, wanted="llama"
        )
    for scaled in ("llama.rope.scaling.type", "llama.rope.scaling.factor"):
        if field(reader, scaled, default="none") != "none":
            raise Problem(
                "scaled rotary embedding is not supported", where=scaled, found=field(reader, scaled)
            )
    heads, hidden = field(reader, "llama.attention.head_count"), field(reader, "llama.embedding_length")
    embedding = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": field(reader, "tokenizer.ggml.eos_token_id"),
        "head_dim": field(reader, "llama.rope.dimension_count", default=hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": field(reader, "llama.feed_forward_length"),
        "max_position_embeddings": field(reader, "llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": field(reader, "llama.block_count"),
        "num_key_value_heads": field(reader, "llama.attention.head_count_kv", default=heads),
        "pad_token_id": field(reader, "tokenizer.ggml.padding_token_id", default=None),
        "rms_norm_eps": _decimal(field(reader, "llama.attention.layer_norm_rms_epsilon")),
        "rope_theta": _decimal(field(reader, "llama.rope.freq_base", default=10000.0)),
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": int(embedding.shape[1]),  # ggml writes the fastest axis first: [hidden, vocabulary]
    }


def weights(reader: GGUFReader, config: dict[str, Any]) -> dict[str, np.ndarray]:
    """float32 tensors under Hugging Face names, [out, in], sorted by name.

    Raises:
        Problem: a tensor with no place in a Llama, or one that is missing.
    """
    import numpy as np
    from gguf import dequantize

    made: dict[str, np.ndarray] = {}
    for tensor in reader.tensors:
        name = _hugging_face_name(tensor.name)
        values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
        values = values.reshape(tuple(reversed(tensor.shape.tolist())))
        if ".q_proj." in name:
            values = separate_halves(values, config["num_attention_heads"])
        elif ".k_proj." in name:
            values = separate_halves(values, config["num_key_value_heads"])
        made[name] = values
    layers = range(config["num_hidden_layers"])
    wanted = {f"model.layers.{layer}.{part}.weight" for layer in layers for part in INNER.values()}
    wanted |= set(OUTER.values()) - ({"lm_head.weight"} if config["tie_word_embeddings"] else set())
    if made.keys() != wanted:
        raise Problem(
            "the file's tensors are not those of its config",
            found=f"without place: {sorted(made.keys() - wanted)[:5]}",
            wanted=f"missing: {sorted(wanted - made.keys())[:5]}",
        )
    return dict(sorted(made.items()))


def separate_halves(rows: np.ndarray, heads: int) -> np.ndarray:
    """Undo the interleaving of rotary pairs: within each head, even rows first, then odd ones.

    Args:
        rows: [heads * head size, in], rows 2i and 2i + 1 of a head rotated together (ggml).

    Returns:
        the same shape, rows i and i + head size / 2 rotated together (Hugging Face).
    """
    return rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2).reshape(rows.shape)


def field(reader: GGUFReader, key: str, **default: Any) -> Any:
    """A metadata value as a Python object; `default=` makes it optional."""
    found = reader.get_field(key)
    if found is not None:
        return found.contents()
    if default:
        return default["default"]
    raise Problem("the GGUF file lacks a key", where=key)


def open_file(path: Path) -> GGUFReader:
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except (ValueError, IndexError) as error:  # wrong magic or version; a table that ends early
        raise Problem("not a readable GGUF file", where=path.name, found=error) from None


def _hugging_face_name(name: str) -> str:
    if name in OUTER:
        return OUTER[name]
    block, _, rest = name.removeprefix("blk.").partition(".")
    part, _, kind = rest.rpartition(".")
    if not (name.startswith("blk.") and block.isdigit() and part in INNER and kind == "weight"):
        raise Problem("a tensor that a Llama does not have", where=name)
    return f"model.layers.{block}.{INNER[part]}.weight"


def _decimal(number: float) -> float:
    """The shortest decimal that is this float32: 1e-05 and not 9.999999747378752e-06."""
    import numpy as np

    return float(str(np.float32(number)))
