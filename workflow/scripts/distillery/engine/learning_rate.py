"""The learning rate of a step, as Megatron-LM's OptimizerParamScheduler sets it.

Warm-up is linear from 0, then constant, linear or cosine decay to min_lr. As there, step 1 uses the rate of
0 consumed samples, which is 0 when there is any warm-up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Lengths are in steps; warmup_steps may be fractional (lr-warmup-fraction of decay_steps)."""

    lr: float
    min_lr: float
    style: str  # constant, linear or cosine
    warmup_steps: float
    decay_steps: int

    def at(self, step: int) -> float:
        """Learning rate of step 1, 2, ..."""
        done = step - 1
        if self.warmup_steps > 0 and done <= self.warmup_steps:
            return self.lr * done / self.warmup_steps
        if self.style == "constant":
            return self.lr
        if done > self.decay_steps:
            return self.min_lr
        share = (done - self.warmup_steps) / (self.decay_steps - self.warmup_steps)
        left = 1.0 - share if self.style == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))
        return self.min_lr + left * (self.lr - self.min_lr)
