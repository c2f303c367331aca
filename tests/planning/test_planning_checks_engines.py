"""Each check of MindSpeed-LLM and of keys that change nothing finds its contradiction and nothing near it."""

from __future__ import annotations

import pytest
from planning_configs import DROP, MINDSPEED, OURS, check, layout

SPANS = "c/datasets/openr1-math-220k/jobs_per_shard"


# id, severity, what brings it about, and what comes near without doing so
TABLE = [
    ("accept", "error", {"e/accept": ["bogus"]}, {"e/accept": ["epochs", "unboxed"]}),
    ("accept", "error", {"e/accept": ["min-lr"], "e/train/min_lr": 1e-3}, {"e/accept": ["min-lr"]}),
    (
        "mindspeed-home",
        "error",
        {"h/mindspeed_llm": DROP},
        {"h/mindspeed_llm": DROP, "e/train/engine": "mindspore"},
    ),
    (
        "set-env",
        "error",
        {"h/set_env": ["/opt/MindSpeed-Core-MS/auto_convert.sh llm"]},
        {"h/set_env": ["/opt/MindSpeed-Core-MS/tests/scripts/set_path.sh"]},
    ),
    (
        "mindspeed-flag",
        "error",
        {"e/tokenize": {"engine": "mindspeed-llm"}, "e/prompt_type": "hunyuan9"},
        {"e/tokenize": {"engine": "mindspeed-llm"}},
    ),
    (  # master's second converter, of which MindSpore's own knows no Qwen2
        "mindspeed-flag",
        "error",
        {"h/mindspeed_llm/version": "master", "e/convert": {"engine": "mindspeed-llm"}},
        {
            "h/mindspeed_llm/version": "master",
            "h/mindspeed_llm/framework": "pytorch",
            **{f"e/{stage}": {"engine": "mindspeed-llm"} for stage in ("tokenize", "convert")},
        },
    ),
    (
        "mindspeed-pack",
        "error",
        {"e/tokenize": {"engine": "mindspeed-llm", "pack": True}},
        {"e/tokenize": {"engine": "mindspeed-llm", "pack": True, "neat_pack": True}},
    ),
    (
        "mindspeed-reader",
        "error",
        {
            "c/datasets/openr1-math-220k/handler_name": "GeneralPretrainHandler",
            "e/tokenize": {"engine": "mindspeed-llm"},
        },
        {"c/datasets/openr1-math-220k/handler_name": "GeneralPretrainHandler"},
    ),
    (
        "mindspeed-reader",
        "error",
        {"c/datasets/openr1-math-220k/thoughts": "join", "e/tokenize": {"engine": "mindspeed-llm"}},
        {"c/datasets/openr1-math-220k/thoughts": "join"},
    ),
    (
        "mindspeed-value",
        "error",
        {"e/train/reset_position_ids": True},
        {"e/train/reset_position_ids": True, "e/train/variable_seq_lengths": False},
    ),
    (
        "mindspeed-value",
        "error",
        {"e/train/reuse_fp32_param": True, "e/params_dtype": "fp16"},
        {"e/train/reuse_fp32_param": True},
    ),
    (
        "mindspeed-value",
        "error",
        {"e/tokenize": {"engine": "mindspeed-llm", "overlong": "error", "n_subs": 2}},
        {"e/tokenize": {"overlong": "error", "n_subs": 2}},
    ),
    ("mindspeed-value", "error", {"e/train/seed": 0}, {"e/train/seed": 0, "e/train/engine": "mindspore"}),
    ("mindspeed-value", "error", {**MINDSPEED, "e/generate/seed": 0}, {"e/generate/seed": 0}),
    ("mindspeed-value", "error", {"e/train/eval_interval": 0}, {"e/train/eval_iters": 0}),
    ("mindspeed-value", "error", {"e/train/lr_warmup_fraction": 1.0}, {"e/train/lr_warmup_fraction": 0.9}),
    ("mindspeed-value", "error", {"e/rope/rotary_base": 40000.5}, {"e/rope/rotary_base": 40001}),
    (
        "mindspeed-value",
        "error",
        {**MINDSPEED, "e/train/engine": "mindspore", "e/rope/rotary_base": 40000.5},
        {"e/train/engine": "mindspore", "e/rope/rotary_base": 40000.5},
    ),
    ("mindspeed-value", "error", {"e/train/lora": {"rank": 8}}, {**OURS, "e/train/lora": {"rank": 8}}),
    ("no-effect", "warning", {"e/train/keep_checkpoints": 3}, {"e/train/keep_checkpoints": 3, **OURS}),
    ("no-effect", "warning", {"e/train/reuse_fp32_param": True, **OURS}, {"e/train/reuse_fp32_param": True}),
    ("no-effect", "warning", {"e/train/variable_seq_lengths": False, **OURS}, OURS),
    ("no-effect", "warning", {"e/train/reset_position_ids": True, **OURS}, OURS),
    (
        "no-effect",
        "warning",
        {"e/train/recompute_granularity": "selective", **OURS},
        {"e/train/recompute_granularity": "full", **OURS},
    ),
    (
        "no-effect",
        "warning",
        {"e/train/recompute_granularity": "selective", **OURS},
        {"e/train/recompute_granularity": "selective", "e/train/lora": {}, "e/layout": layout(), **OURS},
    ),
    (
        "no-effect",
        "warning",
        {"e/train/eval_iters": 10},
        {"e/train/eval_iters": 10, "e/train/eval_interval": 10, "e/train/split": "95,5,0"},
    ),
    (
        "no-effect",
        "warning",
        {"e/layout": layout(), "e/train/sequence_parallel": True},
        {"e/train/sequence_parallel": True},
    ),
    ("no-effect", "warning", {"e/train/lr_decay_style": "constant"}, {"e/train/lr_decay_style": "linear"}),
    ("no-effect", "warning", {"e/tokenize": {"n_subs": 2}}, {"e/tokenize": {"n_subs": 2, "pack": True}}),
    *(
        ("no-effect", "warning", {SPANS: 2, **whole}, {SPANS: 2})
        for whole in (
            {"e/tokenize": {"pack": True}},
            {"e/tokenize": {"engine": "mindspeed-llm"}},
            {"c/datasets/openr1-math-220k/shards_per_job": 2},
        )
    ),
    (
        "no-effect",
        "warning",
        {"e/tokenize": {"enable_thinking": True}},
        {"e/tokenize": {"enable_thinking": True}, "e/prompt_type": "qwen3"},
    ),
    (
        "no-effect",
        "warning",
        {"e/generate/use_kv_cache": True},
        {**MINDSPEED, "e/generate/use_kv_cache": True},
    ),
    (
        "no-effect",
        "warning",
        {"e/hardware": "desk", **OURS, "c/hardware/desk": {"set_env": ["x.sh"], "environment": {"A": 1}}},
        {"e/hardware": "desk", **OURS, "c/hardware/desk": {"npus_per_node": 2, "set_env": ["x.sh"]}},
    ),
]


@pytest.mark.parametrize(("id", "severity", "bad", "good"), TABLE)
def test_check(id, severity, bad, good):
    check(id, severity, bad, good)
