"""What a run's numbers depend on: the name of its work folder is the digest of it.

The words are those of the first key.json that was written, whatever fields and modules are called today: a run that was
killed before a renaming goes on after it. What changes only the last bits of a number is left out, and said when a run
goes on (train_start.Circumstances).
"""

from __future__ import annotations

from typing import Any

from distillery.architecture import Architecture
from distillery.engine import numerics
from distillery.engine.train_settings import Settings


def content(settings: Settings, model: Architecture, **more: Any) -> dict[str, Any]:
    """The content of key.json.

    Args:
        more: data, weights (digests), layout ([TP, PP]), threads, kernels (name of the set).
    """
    return {"settings": _settings(settings), "model": _model(model), **more, **numerics.TRAINING}


def _settings(s: Settings) -> dict[str, Any]:
    return {
        "seq_length": s.seq_length,
        "micro_batch_size": s.micro_batch_size,
        "global_batch_size": s.global_batch_size,
        "train_iters": s.train_iters,
        "schedule": {
            "lr": s.schedule.lr,
            "min_lr": s.schedule.min_lr,
            "style": s.schedule.style,
            "warmup_steps": s.schedule.warmup_steps,
            "decay_steps": s.schedule.decay_steps,
        },
        "weight_decay": s.weight_decay,
        "clip_grad": s.clip_grad,
        "beta1": s.beta1,
        "beta2": s.beta2,
        "eps": s.eps,
        "seed": s.seed,
        "split": s.split,
        "packing": s.packing,
        "eos_token_id": s.eos_token_id,
        "cut_plainly": s.cut_plainly,
        "pad_left": s.pad_left,
        "shuffle": s.shuffle,
        "per_token_loss": s.per_token_loss,
        # with adapters it changes no bit
        "recompute": s.recompute and s.lora is None,
        # said where there are adapters: runs of before go on
        **({"lora": vars(s.lora)} if s.lora else {}),
    }


def _model(a: Architecture) -> dict[str, Any]:
    return {
        "family": "qwen2" if a.add_qkv_bias else "llama",
        "vocab_size": a.vocab_size,
        "hidden_size": a.hidden_size,
        "ffn_size": a.ffn_hidden_size,
        "num_layers": a.num_layers,
        "num_heads": a.num_attention_heads,
        "num_groups": a.num_query_groups,
        "head_dim": a.kv_channels,
        "norm_eps": a.norm_epsilon,
        "tied": a.tied,
        "qkv_bias": a.add_qkv_bias,
        "max_positions": a.max_position_embeddings,
        "rope_theta": a.rotary_base,
        "rope_scaling": a.rope_scaling,
        # said of models that have them: runs of before go on
        # 2: until then graphs took one of their two weights for the other
        **({"qk_layernorm": 2} if a.qk_layernorm else {}),
        **({"sliding_window": a.sliding_window} if a.sliding_window is not None else {}),
    }
