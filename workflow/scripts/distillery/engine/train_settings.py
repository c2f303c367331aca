"""What training's result depends on, besides data and initial weights: settings and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distillery.lora import Lora


@dataclass(frozen=True)
class Schedule:
    """The learning rate, as Megatron-LM's OptimizerParamScheduler sets it.

    Warm-up is linear from 0, then constant, linear or cosine decay to min_lr. As there, step 1 uses the rate of 0
    consumed samples, which is 0 when there is any warm-up. Lengths are in steps; warmup_steps may be fractional
    (lr-warmup-fraction of decay_steps).
    """

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


@dataclass(frozen=True)
class Settings:
    """Batch sizes are in rows, lengths in tokens, steps are optimizer steps.

    Args:
        packing: "none" (one segment a row), "reset" (a row splits after every trained eos), "neat" (the
            stored attention mask numbers the segments).
        cut_plainly: rows longer than seq_length are cut at its end instead of turn by turn.
        pad_left: padding goes before the row instead of behind it.
        per_token_loss: every supervised token of a global batch weighs the same; by default every
            micro-batch does.
        recompute: only layers' inputs are kept, their activations are computed again in the backward pass: the
            same gradients for less memory and about 1.5 times the CPU time (passes.LayerByLayer).
        lora: adapters that are trained in the weights' place.
    """

    seq_length: int
    micro_batch_size: int
    global_batch_size: int
    train_iters: int
    schedule: Schedule
    weight_decay: float
    clip_grad: float
    beta1: float
    beta2: float
    eps: float
    seed: int
    split: tuple[float, float, float]
    packing: str
    eos_token_id: int | None
    cut_plainly: bool
    pad_left: bool
    shuffle: bool
    per_token_loss: bool
    recompute: bool
    lora: Lora | None = None
