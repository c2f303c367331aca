"""Low-rank adapters (LoRA, arXiv 2106.09685): what they are put on, and how many parameters that makes.

A matrix W [out, in] that is adapted stays as it is; W + alpha / rank * B A takes its place, with A [rank, in] and
B [out, rank] trained. The targets are MCore's fused matrices, as in MindSpeed-LLM: q, k and v, or gate and up, share their A.
"""

from __future__ import annotations

from dataclasses import dataclass

from distillery.architecture import Architecture

TARGETS = ("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2")  # MCore's, in the order of a layer


@dataclass(frozen=True)
class Lora:
    """Which matrices are adapted, and how.

    Args:
        rank: rows of A and columns of B.
        alpha: what B A is multiplied with, times the rank.
        targets: of TARGETS.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / self.rank

    def parameters(self, a: Architecture) -> int:
        """Trained parameters of a model: rank * (in + out) of each adapted matrix."""
        heads = a.num_attention_heads * a.kv_channels
        sizes = {
            "linear_qkv": a.hidden_size + a.qkv_size,
            "linear_proj": heads + a.hidden_size,
            "linear_fc1": a.hidden_size + 2 * a.ffn_hidden_size,
            "linear_fc2": a.ffn_hidden_size + a.hidden_size,
        }
        return a.num_layers * self.rank * sum(sizes[target] for target in self.targets)


def recomputes(granularity: str | None, adapted: bool) -> bool:
    """Whether the built-in engine computes activations again in the backward pass, a layer at a time.

    Adapters are what people train where memory is short, so with them it does, unless `recompute_granularity` says otherwise.

    Args:
        granularity: full, selective (the activations are kept, but for the attention's scores), or nothing said.
        adapted: whether adapters are trained.
    """
    return granularity == "full" or (adapted and granularity is None)


def of(settings: dict[str, object] | None) -> Lora | None:
    """What `train.lora` of a configuration says, defaults filled in; None without it: all weights are trained."""
    if settings is None:
        return None
    targets = tuple(one for one in TARGETS if one in settings["targets"])
    return Lora(settings["rank"], settings["alpha"], targets)
