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
    heads, hidden = size(reader, "llama.attention.head_count"), size(reader, "llama.embedding_length")
    embedding = next((tensor for tensor in reader.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise Problem("a tensor is missing", where="token_embd.weight", wanted="[hidden, vocabulary]")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": field(reader, "tokenizer.ggml.bos_token_id", default=None),
        "eos_token_id": field(reader, "tokenizer.ggml.eos_token_id"),
        "head_dim": size(reader, "llama.rope.dimension_count", default=hidden // heads),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": size(reader, "llama.feed_forward_length"),
        "max_position_embeddings": size(reader, "llama.context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        # a layer has nine tensors: more layers than tensors are none of this file's
        "num_hidden_layers": size(reader, "llama.block_count", most=len(reader.tensors)),
        "num_key_value_heads": size(reader, "llama.attention.head_count_kv", default=heads),
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
        try:
            values = np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
            values = values.reshape(tuple(reversed(tensor.shape.tolist())))
            if ".q_proj." in name:
                values = separate_halves(values, config["num_attention_heads"])
            elif ".k_proj." in name:
                values = separate_halves(values, config["num_key_value_heads"])
        except (ValueError, NotImplementedError) as error:  # a shape that its bytes or heads do not fit
            raise Problem("a tensor that cannot be read", where=tensor.name, found=error) from None
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
    """A metadata value as a Python object; `default=` makes it optional.

    Raises:
        Problem: there is none, or a text that is no UTF-8.
    """
    found = reader.get_field(key)
    if found is not None:
        try:
            return found.contents()
        except UnicodeDecodeError as error:
            raise Problem(
                "a text that cannot be read",
                where=key,
                found=error,
                wanted="UTF-8",
                fix="fetch the file again",
            ) from None
    if default:
        return default["default"]
    raise Problem("the GGUF file lacks a key", where=key)


def size(reader: GGUFReader, key: str, most: int = 2**31 - 1, **default: Any) -> int:
    """As `field`, a whole number from 1 to `most`."""
    value = field(reader, key, **default)
    if not isinstance(value, int) or not 1 <= value <= most:
        raise Problem(
            "a value that cannot be used", where=key, found=repr(value)[:200], wanted=f"1 to {most}"
        )
    return value


def open_file(path: Path) -> GGUFReader:
    """Read the header of a GGUF file, which stays mapped.

    Raises:
        Problem: no GGUF file, or a damaged header.
    """
    from gguf import GGUFReader

    class Bounded(GGUFReader):
        """GGUFReader slices beyond the file's end without a word, and counts on: for ever, if a length says so."""

        def _get(self, offset: int, dtype: Any, count: int = 1, override_order: Any = None) -> Any:
            if not 0 <= int(offset) + int(count) <= len(self.data):
                raise ValueError(f"byte {offset} of {len(self.data)}")
            return super()._get(offset, dtype, count, override_order)

    try:
        return Bounded(path)
    except (ValueError, IndexError, KeyError, OverflowError, RecursionError) as error:
        raise Problem("not a readable GGUF file", found=f"{type(error).__name__}: {error}") from None


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
