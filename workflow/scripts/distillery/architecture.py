"""What a model is: the shape of a decoder, in the words of Megatron's flags. `model_config` reads it from config.json."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distillery.problems import Problem, UsageProblem


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Shape of a decoder; every length is a count of elements. Fields are called as Megatron's flags are.

    `kv_channels` is the size of a head, `rope_scaling` the sorted items of config.json's RoPE dictionary, () for
    plain RoPE, `qk_layernorm` an RMSNorm over each query and key head, `sliding_window` the number of tokens that
    one attends to, itself included, None for all.
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
    qk_layernorm: bool = False
    sliding_window: int | None = None

    @property
    def tied(self) -> bool:
        """Whether the embedding is also the output layer."""
        return not self.untie_embeddings_and_output_weights

    @property
    def context(self) -> tuple[int, str]:
        """(tokens of the longest sequence, the key of config.json that says so).

        Up to the window's length a sliding window hides nothing: such sequences are computed as without one.
        """
        if self.sliding_window is not None and self.sliding_window < self.max_position_embeddings:
            return self.sliding_window, "sliding_window"
        return self.max_position_embeddings, "max_position_embeddings"

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
        layer = attention + 3 * h * f + 2 * h + 2 * self.kv_channels * self.qk_layernorm
        return self.num_layers * layer + self.vocab_size * h * (1 if self.tied else 2) + h

    def flops_per_token(self, seq_length: float, recompute: bool = False, frozen: bool = False) -> float:
        """Operations of a forward and backward pass for one token of a causal sequence.

        6 for each parameter but the input embedding's (its lookup multiplies nothing), and 6*L*a*S for attention:
        12*L*a*S over all pairs, a = heads * kv_channels, of which causality needs half. Full
        recomputation adds a forward pass, a third. Frozen weights take no gradient of their own, a third less.
        """
        matmuls = self.num_parameters - (0 if self.tied else self.vocab_size * self.hidden_size)
        attention = self.num_layers * self.num_attention_heads * self.kv_channels * seq_length
        return 2 * (matmuls + attention) * (3 + recompute - frozen)

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
