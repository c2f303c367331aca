"""What a model is, read from its Hugging Face config.json and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distillery.files import read_json
from distillery.problems import Problem, UsageProblem

FAMILIES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}


@dataclass(frozen=True)
class Architecture:
    """Shape of a decoder; every length is a count of elements."""

    family: str
    vocab_size: int
    hidden_size: int
    ffn_size: int
    num_layers: int
    num_heads: int
    num_groups: int
    head_dim: int
    norm_eps: float
    tied: bool
    qkv_bias: bool
    max_positions: int
    rope_theta: float
    rope_scaling: tuple[tuple[str, Any], ...]  # sorted items of the rope dict; () for plain RoPE

    @property
    def repeats(self) -> int:
        """Query heads that share one key/value group."""
        return self.num_heads // self.num_groups

    @property
    def qkv_size(self) -> int:
        """Rows of the fused linear_qkv: per group its query heads, then key, then value."""
        return (self.num_heads + 2 * self.num_groups) * self.head_dim

    @property
    def num_parameters(self) -> int:
        """Elements of all weights, a tied embedding counted once."""
        h, f = self.hidden_size, self.ffn_size
        attention = self.qkv_size * (h + self.qkv_bias) + self.num_heads * self.head_dim * h
        layer = attention + 3 * h * f + 2 * h
        return self.num_layers * layer + self.vocab_size * h * (1 if self.tied else 2) + h

    def part(self, tensor: int, layers: int) -> Architecture:
        """What one of `tensor` tensor ranks holds of `layers` layers.

        Raises:
            UsageProblem: heads, groups or ffn columns cannot be shared evenly.
        """
        if self.num_groups % tensor or self.ffn_size % tensor:
            raise UsageProblem(
                "the model cannot be cut so for tensor parallelism",
                where="--tensor-model-parallel-size",
                found=f"{self.num_groups} key/value groups, {self.ffn_size} ffn columns, TP {tensor}",
                wanted="both multiples of TP",
                fix=f"choose a divisor of {self.num_groups}",
            )
        return replace(
            self,
            num_layers=layers,
            num_heads=self.num_heads // tensor,
            num_groups=self.num_groups // tensor,
            ffn_size=self.ffn_size // tensor,
        )


def read(directory: Path) -> Architecture:
    """The architecture of a Hugging Face model directory.

    Raises:
        Problem: config.json is missing, of another family, or uses a feature this decoder lacks
            (biases on o_proj or the MLP, sliding windows, another activation, unknown RoPE scaling).
    """
    path = Path(directory) / "config.json"
    if not path.is_file():
        raise Problem("the model has no config.json", where=path, fix="point to a Hugging Face directory")
    return from_config(read_json(path), path)


def from_config(config: dict[str, Any], where: object = "config.json") -> Architecture:
    """As `read`, from the parsed config.json. Keys of transformers 4 and 5 are both understood."""
    family = config.get("model_type")
    if family not in FAMILIES:
        raise Problem(
            "this engine has no decoder for the model's family",
            where=f"{where}, model_type",
            found=family,
            wanted=" or ".join(FAMILIES),
            fix="choose a Qwen2/Qwen2.5 or Llama model, or the mindspeed-llm engine",
        )
    for key, wanted in [("hidden_act", "silu"), ("mlp_bias", False), ("use_sliding_window", False)]:
        if config.get(key, wanted) != wanted:
            raise Problem(
                "the decoder does not have this feature",
                where=f"{where}, {key}",
                found=config[key],
                wanted=wanted,
                fix="use the mindspeed-llm engine for this model",
            )
    if family == "llama" and config.get("attention_bias", False):
        raise Problem(
            "a Llama model with attention biases also has one on o_proj, which the MCore names lack",
            where=f"{where}, attention_bias",
            found=True,
            wanted=False,
            fix="use the mindspeed-llm engine for this model",
        )
    rope = {**config, **(config.get("rope_parameters") or {})}
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    heads = config["num_attention_heads"]
    architecture = Architecture(
        family=family,
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        ffn_size=config["intermediate_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=heads,
        num_groups=config.get("num_key_value_heads") or heads,
        head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        tied=bool(config.get("tie_word_embeddings", False)),
        qkv_bias=family == "qwen2",
        max_positions=config.get("max_position_embeddings", 32768 if family == "qwen2" else 2048),
        rope_theta=float(rope.get("rope_theta", 10000.0)),
        rope_scaling=() if kind == "default" else tuple(sorted({**scaling, "rope_type": kind}.items())),
    )
    if architecture.num_heads % architecture.num_groups or architecture.head_dim % 2:
        raise Problem(
            "heads cannot be shared evenly among key/value groups, or head_dim is odd",
            where=where,
            found=f"{heads} heads, {architecture.num_groups} groups, head_dim {architecture.head_dim}",
            wanted="heads a multiple of groups, head_dim even",
        )
    return architecture
