"""What training's result depends on, besides data and initial weights."""

from __future__ import annotations

from dataclasses import dataclass

from distillery.engine.learning_rate import Schedule


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
