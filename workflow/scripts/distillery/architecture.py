"""What a model is, read from its Hugging Face config.json and nowhere else, in the words of Megatron's flags.

Who computes with a model or converts it refuses what it cannot do by itself: engine.supported_models, convert.tensor_map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distillery import digests, rotary
from distillery.json_files import Record
from distillery.problems import Problem, UsageProblem

Refusal = Callable[
    [Mapping[str, Any], object], None
]  # (config, where it was read) -> returns or raises Problem


@dataclass(frozen=True)
class Family:
    """What config.json does not say of a model_type: a bias on q, k and v, and transformers' defaults of absent keys.

    `num_query_groups` None is as many as heads, which is also what a null in config.json means.
    """

    add_qkv_bias: bool
    max_position_embeddings: int
    num_query_groups: int | None


# defaults: Qwen2Config and LlamaConfig of transformers 5.23 (the same in 4.x)
FAMILIES = {"qwen2": Family(True, 32768, 32), "llama": Family(False, 2048, None)}
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


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of a decoder; every length is a count of elements. Fields are called as Megatron's flags are.

    `kv_channels` is the size of a head, `rope_scaling` the sorted items of config.json's RoPE dictionary, () for
    plain RoPE.
    """

    num_layers: int
    hidden_size: int
    ffn_hidden_size: int
    num_attention_heads: int
    num_query_groups: int
    kv_channels: int
    vocab_size: int
    untie_embeddings_and_output_weights: bool
    add_qkv_bias: bool
    max_position_embeddings: int
    norm_epsilon: float = 1e-6
    rotary_base: float = 10000.0
    rope_scaling: tuple[tuple[str, Any], ...] = ()

    @property
    def tied(self) -> bool:
        """Whether the embedding is also the output layer."""
        return not self.untie_embeddings_and_output_weights

    @property
    def repeats(self) -> int:
        """Query heads that share one key/value group."""
        return self.num_attention_heads // self.num_query_groups

    @property
    def qkv_size(self) -> int:
        """Rows of the fused linear_qkv: per group its query heads, then key, then value."""
        return (self.num_attention_heads + 2 * self.num_query_groups) * self.kv_channels

    @property
    def num_parameters(self) -> int:
        """Elements of all weights, a tied embedding counted once."""
        h, f = self.hidden_size, self.ffn_hidden_size
        attention = self.qkv_size * (h + self.add_qkv_bias) + self.num_attention_heads * self.kv_channels * h
        layer = attention + 3 * h * f + 2 * h
        return self.num_layers * layer + self.vocab_size * h * (1 if self.tied else 2) + h

    def flops_per_token(self, seq_length: float, recompute: bool = False) -> float:
        """Operations of a forward and backward pass for one token of a causal sequence.

        6 for each parameter but the input embedding's (its lookup multiplies nothing), and 6*L*a*S for attention:
        12*L*a*S over all pairs, a = heads * kv_channels, of which causality needs half. Full
        recomputation adds a forward pass, a third.
        """
        matmuls = self.num_parameters - (0 if self.tied else self.vocab_size * self.hidden_size)
        attention = self.num_layers * self.num_attention_heads * self.kv_channels * seq_length
        return 6 * (matmuls + attention) * (4 / 3 if recompute else 1)

    def checked(self, where: object) -> Architecture:
        """The same, if sizes fit one another.

        Args:
            where: what they were read from.

        Raises:
            Problem: heads cannot be shared evenly among groups, or a head has no halves to rotate.
        """
        if self.num_attention_heads % self.num_query_groups or self.kv_channels % 2:
            raise Problem(
                "attention heads cannot be shared evenly among key/value groups, or their size is odd",
                where=f"{where}, num_attention_heads, num_key_value_heads, head_dim",
                found=f"{self.num_attention_heads} heads, {self.num_query_groups} groups, head_dim {self.kv_channels}",
                wanted="heads a multiple of groups, head_dim even",
            )
        return self

    def part(self, tensor: int, layers: int) -> Architecture:
        """What one of `tensor` tensor ranks holds of `layers` layers.

        Raises:
            UsageProblem: heads, groups or ffn columns cannot be shared evenly.
        """
        if self.num_query_groups % tensor or self.ffn_hidden_size % tensor:
            raise UsageProblem(
                "the model cannot be cut so for tensor parallelism",
                where="--tensor-model-parallel-size",
                found=f"{self.num_query_groups} key/value groups, {self.ffn_hidden_size} ffn columns, TP {tensor}",
                wanted="both multiples of TP",
                fix=f"choose a divisor of {self.num_query_groups}",
            )
        return replace(
            self,
            num_layers=layers,
            num_attention_heads=self.num_attention_heads // tensor,
            num_query_groups=self.num_query_groups // tensor,
            ffn_hidden_size=self.ffn_hidden_size // tensor,
        )


def read(directory: Path, refuse: Refusal) -> Architecture:
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
    return from_config(digests.read_json(path), path, refuse)


def from_config(config: Mapping[str, Any], where: object, refuse: Refusal) -> Architecture:
    """As `read`, from the parsed config.json, by the rules of transformers 5.

    `rope_scaling`, transformers 4's name, is `rope_parameters`, and what stands in that dictionary goes before the
    same key outside of it.

    Raises:
        Problem: a family that is not in FAMILIES, a missing size, sizes that do not fit one another; what `refuse`
            raises.
    """
    config = Record(config).at(where)
    family = FAMILIES.get(config.typed("model_type", str, ""))
    if family is None:
        raise Problem(
            "this model family has neither a decoder nor a mapping to MCore names here",
            where=f"{where}, model_type",
            found=config.get("model_type"),
            wanted=" or ".join(FAMILIES),
            fix="choose a Qwen2, Qwen2.5 or Llama model; a family is added in FAMILIES of distillery/architecture.py",
        )
    rope = rotary.read(config)
    refuse(config, where)
    if missing := [key for key in NEEDED if config.get(key) is None]:
        raise Problem(
            "config.json lacks sizes of the model",
            where=where,
            found=f"no {', '.join(missing)}",
            fix="fetch config.json again",
        )

    def size(key: str, default: int | None = None) -> int:
        return config.typed(key, int, default, least=1, most=MOST[key])

    kind = rope.typed("rope_type", str, rope.typed("type", str, "default"))
    hidden, heads = size("hidden_size"), size("num_attention_heads")
    groups = heads if "num_key_value_heads" in config else family.num_query_groups or heads
    return Architecture(
        num_layers=size("num_hidden_layers"),
        hidden_size=hidden,
        ffn_hidden_size=size("intermediate_size"),
        num_attention_heads=heads,
        num_query_groups=size("num_key_value_heads", groups),
        kv_channels=size("head_dim", max(1, hidden // heads)),
        vocab_size=size("vocab_size"),
        untie_embeddings_and_output_weights=not config.typed("tie_word_embeddings", bool, False),
        add_qkv_bias=family.add_qkv_bias,
        max_position_embeddings=size("max_position_embeddings", family.max_position_embeddings),
        norm_epsilon=float(config.typed("rms_norm_eps", float, 1e-6, least=0)),
        rotary_base=float(
            rope.typed("rope_theta", float, config.typed("rope_theta", float, 10000.0, least=1), least=1)
        ),
        rope_scaling=() if kind == "default" else tuple(sorted({**rope, "rope_type": kind}.items())),
    ).checked(where)
