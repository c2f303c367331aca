"""Each check of templates, rows and answers finds its contradiction and nothing near it."""

from __future__ import annotations

import pytest
from planning_configs import DROP, MINDSPEED, SEVEN, SOURCE, check

BEAM = {"e/generate/task": "beam_search", "e/generate/num_samples": 1, "e/generate/num_beams": 4}
UNDRAWN = {"e/generate/temperature": DROP, "e/generate/top_p": DROP}
GREEDY = {
    "e/generate/task": "greedy",
    "e/generate/num_samples": 1,
    "e/generate/temperature": DROP,
    "e/generate/top_p": DROP,
}

TUNED_SERVED = {
    "c/servers/s/url": "http://10.0.0.9:8000",
    "c/servers/s/model": "tuned",
    "e/generate/engine": "s",
}
SERVED = {**TUNED_SERVED, "c/servers/s/base_model": "base"}
OWN = {
    key: SEVEN["datasets"]["openr1-math-220k"]["source"]["hub"][key]
    for key in ("host", "repo", "revision", "files")
}
HELD = {"one_in": 20, "columns": ["problem"], "alike": 1}

TAUGHT = {
    "c/problem_sets/new": {"generator": {"seed": 1, "rows": 100, "part": "training"}},
    "c/servers": {"t": {"url": "https://teacher.example/v1", "model": "r1"}},
    "c/datasets/taught": {"source": {"teacher": {"server": "t", "problems": "new", "max_new_tokens": 500}}},
    "e/dataset": "taught",
}
TEACHER = "c/datasets/taught/source/teacher"
MIXED = {**TAUGHT, "e/dataset": [{"name": one, "weight": 1} for one in ("openr1-math-220k", "taught")]}

# id, severity, what brings it about, and what comes near without doing so
TABLE = [
    (
        "learnt-problems",
        "warning",
        {"c/problem_sets": {"own": {"hub": OWN, "hold_out": HELD}}, "e/problems": "own"},
        {
            "c/problem_sets": {"own": {"hub": OWN, "hold_out": HELD}},
            "e/problems": "own",
            "c/datasets/openr1-math-220k/hold_out": HELD,
        },
    ),
    (
        "learnt-problems",
        "warning",
        {"c/problem_sets": {"own": {"hub": OWN}}, "e/problems": "own"},
        {"c/problem_sets": {"own": {"hub": {**OWN, "files": "other.parquet"}}}, "e/problems": "own"},
    ),
    ("taught-problems", "error", {**TAUGHT, f"{TEACHER}/problems": "math-500"}, TAUGHT),
    (
        "teacher-budget",
        "warning",
        {**TAUGHT, f"{TEACHER}/max_requests": 399},
        {**TAUGHT, f"{TEACHER}/max_requests": 400},
    ),
    (
        "teacher-budget",
        "warning",
        {**TAUGHT, f"{TEACHER}/max_tokens": 199_999},
        {**TAUGHT, f"{TEACHER}/max_tokens": 200_000},
    ),
    *(
        ("teacher-shards", "error", {**TAUGHT, f"{TEACHER}/shards": 26, **said}, near)
        for said in ({f"{TEACHER}/max_requests": 100}, {f"{TEACHER}/max_tokens": 50_000})
        for near in ({**TAUGHT, f"{TEACHER}/shards": 25, **said}, {**TAUGHT, f"{TEACHER}/shards": 26})
    ),
    *(
        ("teacher-shards", "error", {**one, f"{TEACHER}/shards": 101}, {**one, f"{TEACHER}/shards": 100})
        for one in (TAUGHT, MIXED)
    ),
    (
        "server-key",
        "warning",
        {**TAUGHT, "c/servers/t/api_key_env": "KEY", "c/servers/t/url": "http://10.0.0.9"},
        {**TAUGHT, "c/servers/t/api_key_env": "KEY"},
    ),
    ("prompt-type", "error", {"e/train/prompt_type": "qwen"}, {"e/train/prompt_type": "qwen_math_r1"}),
    ("prompt-type", "error", {"e/generate/prompt_type": "qwen"}, {"e/generate/prompt_type": "qwen_math_r1"}),
    ("prompt-type-name", "error", {"e/prompt_type": "qwen9"}, {"e/prompt_type": "qwen"}),
    ("template-markers", "error", {"e/prompt_type": "deepseek3"}, {"e/prompt_type": "qwen_r1"}),
    ("template-markers", "error", {"e/prompt_type": "llama3"}, {"e/prompt_type": "default"}),
    ("stop-token", "error", {"e/generate/prompt_type": "default"}, {"e/generate/prompt_type": "qwen"}),
    ("no-end-token", "warning", {"e/prompt_type": "empty"}, {"e/prompt_type": "default"}),
    ("system-prompt", "warning", {"e/prompt_type": "qwen"}, {"e/prompt_type": "qwen_math_r1"}),
    (
        "map-keys",
        "error",
        {"c/datasets/openr1-math-220k/map_keys": {"message": "messages"}},
        {"c/datasets/openr1-math-220k/map_keys": {"messages": "messages"}},
    ),
    (
        "neat-pack",
        "error",
        {"e/tokenize": {"neat_pack": True}},
        {"e/tokenize": {"pack": True, "neat_pack": True}},
    ),
    (
        "pack-length",
        "error",
        {"e/tokenize": {"pack": True, "neat_pack": True, "seq_length": None}},
        {"e/tokenize": {"pack": True, "neat_pack": True}},
    ),
    (
        "pack-variable",
        "error",
        {"e/tokenize": {"pack": True, "neat_pack": True}, "e/train/variable_seq_lengths": True},
        {"e/tokenize": {"pack": True, "neat_pack": True}, "e/train/variable_seq_lengths": False},
    ),
    (
        "pack-positions",
        "error",
        {"e/tokenize": {"pack": True, "neat_pack": True}, "e/train/reset_position_ids": False},
        {"e/tokenize": {"pack": True, "neat_pack": True}, "e/train/reset_position_ids": True},
    ),
    (
        "pack-resets",
        "error",
        {"e/tokenize": {"pack": True}},
        {"e/tokenize": {"pack": True}, "e/prompt_type": "default"},
    ),
    (
        "tokenize-length",
        "warning",
        {"e/tokenize": {"seq_length": None}},
        {"e/tokenize": {"seq_length": 8192}},
    ),
    (
        "tokenize-length",
        "error",
        {"e/tokenize": {"seq_length": None, "overlong": "drop"}},
        {"e/tokenize": {"overlong": "drop"}},
    ),
    ("tokenize-length", "error", {"e/tokenize": {"seq_length": 8193}}, {"e/tokenize": {"seq_length": 8192}}),
    ("short-rows", "warning", {"e/tokenize": {"seq_length": 8191}}, {"e/tokenize": {"seq_length": 8192}}),
    ("some-shards", "warning", {"e/tokenize": {"shards": 9}}, {"e/tokenize": {"shards": 10}}),
    (
        "some-shards",
        "warning",
        {f"{SOURCE}/files": "data/train-{00000..00008}-of-00010.parquet"},
        {f"{SOURCE}/files": "data/train-{00000..00008}-of-00009.parquet"},
    ),
    ("answer-length", "error", {"e/generate/max_new_tokens": 8192}, {"e/generate/max_new_tokens": 8191}),
    (
        "answer-length",
        "error",
        {"e/generate/base/max_new_tokens": 4096},
        {"e/generate/base/max_new_tokens": 4095},
    ),
    (
        "answer-budget",
        "warning",
        {"e/generate/max_new_tokens": 2649},
        {"e/generate/max_new_tokens": 2650},
    ),
    (
        "tokens-to-oom",
        "error",
        {**MINDSPEED, "e/generate/max_tokens_to_oom": 7295},
        {**MINDSPEED, "e/generate/max_tokens_to_oom": 7296},
    ),
    (
        "tokens-to-oom",
        "error",
        {**MINDSPEED, "e/generate/seq_length": 32768, "e/generate/max_new_tokens": 11873},
        {**MINDSPEED, "e/generate/seq_length": 32768, "e/generate/max_new_tokens": 11872},
    ),
    ("beam-answers", "error", {**BEAM, "e/generate/num_samples": 5}, BEAM),
    ("beams-unused", "warning", {"e/generate/num_beams": 2}, BEAM),
    ("greedy-sampling", "warning", {**GREEDY, "e/generate/top_p": 0.9}, GREEDY),
    ("greedy-sampling", "warning", {**BEAM, "e/generate/top_p": DROP}, {**BEAM, **UNDRAWN}),
    (
        "beams-unused",
        "warning",
        {"e/generate/length_penalty": 2.0},
        {**BEAM, "e/generate/length_penalty": 2.0},
    ),
    ("greedy-samples", "warning", {**GREEDY, "e/generate/num_samples": 2}, GREEDY),
    ("no-task", "error", {"e/generate/task": None}, {}),
    ("chat-task", "error", {"e/generate/task": "chat"}, {}),
    (
        "two-templates",
        "error",
        {"e/generate/hf_chat_template": True, "e/generate/prompt_type": "qwen_math_r1"},
        {"e/generate/hf_chat_template": True},
    ),
    ("served-task", "error", {**SERVED, **BEAM, **UNDRAWN}, SERVED),
    (
        "served-top-k",
        "error",
        {**SERVED, "c/servers/s/engine": "openai", "e/generate/top_k": 20},
        {**SERVED, "c/servers/s/engine": "openai", "e/generate/top_k": 0},
    ),
    ("served-base", "warning", TUNED_SERVED, SERVED),
    ("rounded-weights", "error", {"e/generate/weights": "int8"}, {"e/generate/weights": "stored"}),
    ("lossy-weights", "warning", {"h/device": "CPU", "e/generate/weights": "int8"}, {"h/device": "CPU"}),
    (
        "server-key",
        "warning",
        {**SERVED, "c/servers/s/api_key_env": "KEY"},
        {**SERVED, "c/servers/s/api_key_env": "KEY", "c/servers/s/url": "http://127.0.0.1:8000"},
    ),
    ("no-kv-cache", "warning", MINDSPEED, {**MINDSPEED, "e/generate/use_kv_cache": True}),
    ("no-kv-cache", "warning", {**MINDSPEED, "e/generate/use_kv_cache": False}, {}),
    (
        "map-keys",
        "error",
        {
            "c/datasets/openr1-math-220k/handler_name": "auto",
            "c/datasets/openr1-math-220k/map_keys": {"messages": "m"},
        },
        {"c/datasets/openr1-math-220k/handler_name": "auto"},
    ),
    (
        "stop-token",
        "error",
        {**MINDSPEED, "e/generate/hf_chat_template": True},
        {
            **MINDSPEED,
            "e/generate/hf_chat_template": True,
            "c/models/qwen2.5-math-7b/hub/repo": "Qwen/Qwen2.5-Math-7B-Instruct",
        },
    ),
]


@pytest.mark.parametrize(("id", "severity", "bad", "good"), TABLE)
def test_check(id, severity, bad, good):
    check(id, severity, bad, good)
