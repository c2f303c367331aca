"""The same weights for bench_generate.py's sides: rounded to bf16, and as GGUF files for llama.cpp."""

import json
from pathlib import Path

import numpy as np

KINDS = ("f32", "bf16", "q8_0")


def rounded(model: Path, directory: Path) -> Path:
    """A Hugging Face directory of config.json and weights alone, each rounded to bf16 and stored as such."""
    import ml_dtypes

    from distillery import safetensors_files

    directory.mkdir()
    config = json.loads((model / "config.json").read_text()) | {"torch_dtype": "bfloat16"}
    (directory / "config.json").write_text(json.dumps(config))
    tensors = {name: one.astype(ml_dtypes.bfloat16) for name, one in _weights(model).items()}
    safetensors_files.save(tensors, directory / "model.safetensors")
    return directory


def write(model: Path, path: Path, kind: str) -> Path:
    """A Llama of float32 or bf16 safetensors as llama.cpp's converter would write it, without a tokenizer.

    Args:
        model: Hugging Face directory.
        kind: of the matrices, one of KINDS; norms stay float32, as that converter leaves them.
    """
    import gguf

    from distillery import model_config
    from distillery.fetch.gguf_model import INNER, OUTER

    arch = model_config.read(model)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(arch.num_layers)
    writer.add_context_length(arch.max_position_embeddings)
    writer.add_embedding_length(arch.hidden_size)
    writer.add_feed_forward_length(arch.ffn_hidden_size)
    writer.add_head_count(arch.num_attention_heads)
    writer.add_head_count_kv(arch.num_query_groups)
    writer.add_rope_dimension_count(arch.kv_channels)
    writer.add_rope_freq_base(arch.rotary_base)
    writer.add_layer_norm_rms_eps(arch.norm_epsilon)
    writer.add_vocab_size(arch.vocab_size)
    writer.add_tokenizer_model("none")  # it is given ids
    names = {theirs: f"{ours}.weight" for ours, theirs in INNER.items()}
    outer = {theirs: ours for ours, theirs in OUTER.items()}
    chosen = gguf.GGMLQuantizationType[kind.upper()]
    for name, values in _weights(model).items():
        if name == "lm_head.weight" and arch.tied:
            continue
        if ".q_proj." in name:
            values = interleave(values, arch.num_attention_heads)
        if ".k_proj." in name:
            values = interleave(values, arch.num_query_groups)
        place = outer.get(name)
        if place is None:
            layer, part = name.removeprefix("model.layers.").removesuffix(".weight").split(".", 1)
            place = f"blk.{layer}.{names[part]}"
        if values.ndim == 1 or kind == "f32":
            writer.add_tensor(place, values)
        else:
            writer.add_tensor(place, gguf.quantize(values, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def interleave(rows: np.ndarray, heads: int) -> np.ndarray:
    """What gguf_model.separate_halves undoes: ggml rotates neighbouring rows of a head, Hugging Face its halves."""
    return np.ascontiguousarray(rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2)).reshape(rows.shape)


def _weights(model: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    found: dict[str, np.ndarray] = {}
    for path in sorted(model.glob("*.safetensors")):
        found |= {name: np.asarray(one, np.float32) for name, one in load_file(path).items()}
    return found
