"""Operations of a training step, and the share of a device's peak at which they run.

The share is fitted on published rows (published.json) and compared with rows left out of the fit:

    python -c "from distillery.planning import throughput; print(throughput.table())"
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.architecture import Architecture
from distillery.engine.supported_models import from_config
from distillery.planning import chips

PUBLISHED = Path(__file__).with_name("published.json")


def flops_per_token(model: Architecture, seq_length: float, recompute: bool = False) -> float:
    """Forward and backward, for one token of a causal sequence.

    6 for each parameter but the input embedding's (its lookup multiplies nothing), and 6*L*a*S for
    attention: 12*L*a*S over all pairs, a = heads*head_dim, of which causality needs half. Full
    recomputation adds a forward pass, a third.
    """
    matmuls = model.num_parameters - (0 if model.tied else model.vocab_size * model.hidden_size)
    attention = model.num_layers * model.num_attention_heads * model.kv_channels * seq_length
    return 6 * (matmuls + attention) * (4 / 3 if recompute else 1)


@dataclass(frozen=True)
class Row:
    """A published speed, in tokens a second and device, beside the estimate."""

    model: str
    regime: str
    seq_length: int
    published: float
    estimated: float
    fitted: bool
    source: str

    @property
    def error(self) -> float:
        """(estimated - published) / published."""
        return self.estimated / self.published - 1


@functools.cache
def utilisation(regime: str = "tuning") -> float:
    """Share of the peak that training reaches: the geometric mean over the rows used for the fit."""
    shares = [
        math.log(_reached(row) / _peak())
        for row in _rows()
        if row["use"] == "fit" and row["regime"] == regime
    ]
    return math.exp(sum(shares) / len(shares))


def table() -> list[Row]:
    """Every published row, those of the fit and those left out of it."""
    return [
        Row(
            row["model"],
            row["regime"],
            row["seq_length"],
            row["tokens_per_second"],
            utilisation(row["regime"]) * _peak() / flops_per_token(_model(row["model"]), row["seq_length"]),
            row["use"] == "fit",
            row["source"],
        )
        for row in _rows()
    ]


def _reached(row: dict[str, Any]) -> float:
    return row["tokens_per_second"] * flops_per_token(_model(row["model"]), row["seq_length"])


def _peak() -> float:
    return chips.chips()[_data()["chip"]]["peak_tflops"] * 1e12


def _rows() -> list[dict[str, Any]]:
    return _data()["rows"]


def _model(name: str) -> Architecture:
    return from_config(_data()["models"][name], name)


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))
