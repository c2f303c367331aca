"""The settings of the engine's small trainings."""

from distillery.engine.train_settings import Schedule, Settings

STEPS, MICRO_BATCHES = 6, 4
SETTINGS = Settings(
    seq_length=12,
    micro_batch_size=2,
    global_batch_size=2 * MICRO_BATCHES,
    train_iters=STEPS,
    schedule=Schedule(1e-2, 0.0, "constant", 0, STEPS),
    weight_decay=0.1,
    clip_grad=1.0,
    beta1=0.9,
    beta2=0.95,
    eps=1e-8,
    seed=0,
    split=(1, 0, 0),
    packing="none",
    eos_token_id=None,
    cut_plainly=False,
    pad_left=False,
    shuffle=False,
    per_token_loss=False,
    recompute=False,
)
