"""A Qwen2 of any size with random weights from a seed, saved as Hugging Face does.

The defaults: hidden 96, 2 layers, 4 heads over 2 key-value heads, tied embedding; 252,768 parameters with
512 tokens. The embedded experiment names its own sizes. Two values differ from Qwen2.5's and matter at this size:
initializer_range 0.06 (0.02 barely learns in a minute) and rope_theta 500 (sequences are 128 long).
"""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files, json_files, safetensors_files
from distillery.fetch import model_directory, tiny_tokenizer
from distillery.problems import UsageProblem

if TYPE_CHECKING:
    import numpy as np

DEFAULTS: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 96,
    "initializer_range": 0.06,
    "intermediate_size": 256,
    "max_position_embeddings": 512,
    "model_type": "qwen2",
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_theta": 500.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
    "use_sliding_window": False,
}
FIXED = frozenset(
    {"architectures", "attention_dropout", "hidden_act", "model_type", "torch_dtype", "use_sliding_window"}
)


def run(args: argparse.Namespace) -> int:
    """Make the Hugging Face directory that fetch_generated_model.py's flags ask for; returns the tokens in use.

    Raises:
        UsageProblem: --config-json is no object.
        Problem: sizes that do not fit together.
    """
    try:
        overrides = json_files.loads(args.config_json)
    except ValueError as error:
        raise UsageProblem(
            "not JSON", where="--config-json", found=args.config_json, wanted=str(error)
        ) from None
    if not isinstance(overrides, dict):
        raise UsageProblem(
            "not an object", where="--config-json", found=args.config_json, wanted='{"key": value}'
        )
    config(overrides, args.vocab_size, 0)  # wrong sizes end here, before the tokenizer is trained
    tokenizer = tiny_tokenizer.train(args.tokenizer_shards, args.tokenizer_rows, args.vocab_size)
    made = config(overrides, args.vocab_size, tokenizer.token_to_id(tiny_tokenizer.END_OF_TEXT))
    with files.atomic_directory(args.output_dir) as directory:
        tiny_tokenizer.save(tokenizer, directory, made["max_position_embeddings"])
        save(made, args.seed, directory)
        source = {"kind": "seed", "seed": args.seed, "tokenizer_rows": args.tokenizer_rows}
        model_directory.write_manifest(directory, source, revision=None)
    return tokenizer.get_vocab_size()


def config(overrides: dict[str, Any], vocab_size: int, end_of_text: int) -> dict[str, Any]:
    """config.json: the defaults with `overrides`, which name keys of a Hugging Face Qwen2 config.

    Args:
        overrides: sizes and constants that differ from `DEFAULTS`.
        vocab_size: rows of the embedding; at least the tokenizer's length.
        end_of_text: the id used for bos, eos and padding.

    Raises:
        UsageProblem: an unknown or fixed key, a value of another type, or sizes that do not divide.
    """
    settable = {key: value for key, value in DEFAULTS.items() if key not in FIXED}
    for key, value in overrides.items():
        if key not in settable:
            raise UsageProblem(
                "unknown key",
                where=f"--config-json, {key}",
                found=value,
                wanted="one of " + ", ".join(settable),
            )
        wanted = float if isinstance(settable[key], float) else type(settable[key])
        number_for_float = wanted is float and type(value) is int
        if type(value) is not wanted and not number_for_float:
            raise UsageProblem(
                "wrong type",
                where=f"--config-json, {key}",
                found=repr(value),
                wanted=f"{wanted.__name__}, as {settable[key]!r}",
            )
        if wanted in (int, float) and value <= 0:
            raise UsageProblem("not positive", where=f"--config-json, {key}", found=value, wanted="above 0")
    made = DEFAULTS | overrides
    for whole, parts in (
        ("hidden_size", "num_attention_heads"),
        ("num_attention_heads", "num_key_value_heads"),
    ):
        if made[whole] % made[parts]:
            raise UsageProblem(
                f"{whole} is no multiple of {parts}",
                where="--config-json",
                found=f"{made[whole]} and {made[parts]}",
            )
    if made["hidden_size"] // made["num_attention_heads"] % 2:
        raise UsageProblem(
            "rotary embedding needs an even head size",
            where="--config-json",
            found=f"hidden_size / num_attention_heads = {made['hidden_size'] // made['num_attention_heads']}",
        )
    return made | {"vocab_size": vocab_size, "bos_token_id": end_of_text, "eos_token_id": end_of_text}


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a Hugging Face Qwen2 checkpoint, [out, in] for matrices."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    key_value = head * config["num_key_value_heads"]
    named: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config["vocab_size"], hidden)}
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for projection, width in (("q_proj", hidden), ("k_proj", key_value), ("v_proj", key_value)):
            named[f"{prefix}self_attn.{projection}.weight"] = (width, hidden)
            named[f"{prefix}self_attn.{projection}.bias"] = (width,)
        named[f"{prefix}self_attn.o_proj.weight"] = (hidden, hidden)
        named[f"{prefix}mlp.gate_proj.weight"] = (inner, hidden)
        named[f"{prefix}mlp.up_proj.weight"] = (inner, hidden)
        named[f"{prefix}mlp.down_proj.weight"] = (hidden, inner)
        named[f"{prefix}input_layernorm.weight"] = (hidden,)
        named[f"{prefix}post_attention_layernorm.weight"] = (hidden,)
    named["model.norm.weight"] = (hidden,)
    if not config["tie_word_embeddings"]:
        named["lm_head.weight"] = (config["vocab_size"], hidden)
    return named


def weights(config: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """float32 tensors as Hugging Face initialises them: matrices N(0, initializer_range), biases 0, norms 1.

    Each tensor draws from its own stream (seed, crc32 of its name), so none depends on the others.
    """
    import numpy as np

    made = {}
    for name, shape in shapes(config).items():
        if name.endswith(".bias"):
            made[name] = np.zeros(shape, np.float32)
        elif len(shape) == 1:
            made[name] = np.ones(shape, np.float32)
        else:
            stream = np.random.default_rng([seed, zlib.crc32(name.encode())])
            made[name] = stream.standard_normal(shape, np.float32) * np.float32(config["initializer_range"])
    return made


def save(config: dict[str, Any], seed: int, directory: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors."""
    files.write_json(directory / "config.json", config)
    special = {key: config[key] for key in ("bos_token_id", "eos_token_id")}
    files.write_json(directory / "generation_config.json", special | {"pad_token_id": config["eos_token_id"]})
    safetensors_files.save(weights(config, seed), directory / "model.safetensors")
