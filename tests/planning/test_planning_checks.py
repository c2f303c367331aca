"""Each cross-check finds its contradiction and nothing near it."""

from __future__ import annotations

import copy
import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
import yaml
from guide_scripts import NAME, guide
from places import ROOT

from distillery import artefacts, config
from distillery.launch.mindspeed import generate_stage
from distillery.planning import checks, estimate, known_models
from distillery.planning.checks import machine_checks, model_checks
from distillery.planning.checks.layout_checks import describe
from distillery.planning.experiment_setup import gather
from distillery.planning.finding import SECTIONS, Finding

CONFIGS = ROOT / "config"
SEVEN = yaml.safe_load((CONFIGS / "qwen2.5-math-7b.yaml").read_text())
TINY = yaml.safe_load((CONFIGS / "config.yaml").read_text())
DROP = object()


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with dotted keys set, or dropped; `e.` stands for its only experiment, `h.` for its hardware."""
    raw = copy.deepcopy(raw)
    (experiment,) = raw["experiments"].values()
    roots = {"e": experiment, "h": raw.get("hardware", {}).get("atlas-800t-a2"), "c": raw}
    for path, value in changes.items():
        root, *keys = path.split("/")
        node = roots[root]
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        if value is DROP:
            del node[keys[-1]]
        else:
            node[keys[-1]] = value
    return raw


def findings(raw: dict[str, Any], changes: dict[str, Any] | None = None) -> list[Finding]:
    return checks.run(config.load(changed(raw, changes or {})))


def layout(tensor: int = 1, stages: int = 1, layers: list[int] | None = None) -> dict[str, Any]:
    sizes = {"tensor_parallel_size": tensor, "pipeline_parallel_size": stages}
    return sizes | ({"num_layer_list": layers} if layers else {})


OURS = {"e/train/engine": "mindspore"}
MINDSPEED = {"e/generate/engine": "mindspeed-llm"}
BEAM = {"e/generate/task": "beam_search", "e/generate/num_samples": 1, "e/generate/num_beams": 4}
UNDRAWN = {"e/generate/temperature": DROP, "e/generate/top_p": DROP}
GREEDY = {
    "e/generate/task": "greedy",
    "e/generate/num_samples": 1,
    "e/generate/temperature": DROP,
    "e/generate/top_p": DROP,
}
TWO_STAGES = {"e/layout": layout(1, 2), "e/train/recompute_granularity": "full"}
SOURCE = "c/datasets/openr1-math-220k/source/hub"

# id, severity, what brings it about, and what comes near without doing so
TABLE = [
    (
        "devices",
        "error",
        {"e/train/npus_per_node": 1, "e/train/layout": layout(2)},
        {"e/train/npus_per_node": 4, "e/train/layout": layout(2)},
    ),
    ("devices", "error", {"e/generate/npus_per_node": 1, "e/generate/layout": layout(2)}, {}),
    ("npus-per-node", "error", {"e/train/npus_per_node": 16}, {"e/train/npus_per_node": 8}),
    ("npus-per-node", "error", {"e/generate/npus_per_node": 9}, {"e/generate/npus_per_node": 8}),
    ("layout-change", "warning", {"e/train/layout": layout(4)}, {"e/train/layout": layout(2)}),
    ("layout-change", "warning", {"e/train/npus_per_node": 1}, {"e/train/npus_per_node": 2}),
    ("tensor-split", "error", {"e/layout": layout(8)}, {"e/layout": layout(4)}),
    ("layer-split", "error", {"e/layout": layout(1, 8)}, {"e/layout": layout(2, 4)}),
    ("layer-list", "error", {"e/layout": layout(2, 2, [11, 16])}, {"e/layout": layout(2, 2, [13, 15])}),
    ("layer-list", "error", {"e/layout": layout(2, 2, [28])}, {"e/layout": layout(2, 2, [14, 14])}),
    ("layer-list", "error", {"e/layout": layout(2, 1, [28])}, {"e/layout": layout(2)}),
    (
        "sequence-parallel",
        "error",
        {**TWO_STAGES, "e/train/sequence_parallel": True},
        {"e/train/sequence_parallel": True},
    ),
    (
        "context-parallel",
        "error",
        {"e/train/context_parallel_size": 2, "e/seq_length": 8190},
        {"e/train/context_parallel_size": 2},
    ),
    (
        "context-parallel",
        "error",
        {"e/train/context_parallel_size": 2, "e/train/variable_seq_lengths": True},
        {"e/train/variable_seq_lengths": True},
    ),
    ("node-rank", "error", {"h/node_rank": 1}, {"h/node_rank": 0}),
    ("master-address", "error", {"h/nodes": 2}, {"h/nodes": 2, "h/master_addr": "10.0.0.1"}),
    ("master-port", "error", {"h/master_port": 600}, {"h/master_port": 1024}),
    (
        "tensor-across-nodes",
        "warning",
        {"h/nodes": 4, "h/npus_per_node": 2, "h/master_addr": "n1", "e/layout": layout(4)},
        {"h/nodes": 4, "h/npus_per_node": 2, "h/master_addr": "n1"},
    ),
    ("batch-split", "error", {"e/train/global_batch_size": 66}, {"e/train/global_batch_size": 68}),
    (
        "pipeline-bubble",
        "warning",
        {"e/layout": layout(2, 4), "e/train/global_batch_size": 2, "e/train/train_iters": 60000},
        {"e/layout": layout(2, 4), "e/train/global_batch_size": 4, "e/train/train_iters": 30000},
    ),
    ("epochs", "warning", {"e/train/train_iters": 7400}, {"e/train/train_iters": 7300}),
    ("epochs", "warning", {"e/train/train_iters": 290}, {"e/train/train_iters": 300}),
    ("few-rows", "error", {f"{SOURCE}/rows": 63}, {f"{SOURCE}/rows": 64}),
    ("warmup", "warning", {"e/train/lr_warmup_fraction": 0.0004}, {"e/train/lr_warmup_fraction": 0.0005}),
    ("warmup", "warning", {"e/train/lr_warmup_fraction": 0.0004}, {"e/train/lr_warmup_fraction": 0.0}),
    ("min-lr", "error", {"e/train/min_lr": 6e-5}, {"e/train/min_lr": 5e-5}),
    ("learning-rate", "warning", {"e/train/lr": 1.2e-5}, {"e/train/lr": 1.3e-5}),
    ("learning-rate", "warning", {"e/train/lr": 2.1e-4}, {"e/train/lr": 1.9e-4}),
    ("one-checkpoint", "warning", {"e/train/save_interval": 2000}, {"e/train/save_interval": 1999}),
    ("not-resumable", "warning", {"e/train/no_save_optim": True}, {"e/train/no_save_optim": False}),
    (
        "not-resumable",
        "warning",
        {"e/train/no_save_optim": True},
        {"e/train/no_save_optim": True, "e/train/engine": "mindspore"},
    ),
    (
        "start-flags",
        "warning",
        {"e/train/no_save_optim": True, "e/train/engine": "mindspore"},
        {"e/train/no_save_optim": True},
    ),
    (
        "unknown-model",
        "warning",
        {"c/models/qwen2.5-math-7b/hub/repo": "someone/else"},
        {"c/models/qwen2.5-math-7b/hub/repo": "Qwen/Qwen2.5-Math-1.5B"},
    ),
    ("rope-base", "error", {"e/rope/override": False}, {"e/rope/override": True}),
    (
        "rope-context",
        "error",
        {"e/rope": {"max_position_embeddings": 16384}, "e/seq_length": 4096},
        {"e/rope": {"max_position_embeddings": 4096}, "e/seq_length": 4096},
    ),
    (
        "rope-scaled",
        "warning",
        {"c/models/qwen2.5-math-7b/hub/repo": "meta-llama/Llama-3.1-8B", "e/prompt_type": "llama3"},
        {
            "c/models/qwen2.5-math-7b/hub/repo": "meta-llama/Llama-3.1-8B",
            "e/prompt_type": "llama3",
            "e/rope": DROP,
        },
    ),
    (
        "rope-agreement",
        "error",
        {"e/generate/rope": {"rotary_base": 50000, "override": True}},
        {"e/generate/rope": {"rotary_base": 40000, "max_position_embeddings": 16384, "override": True}},
    ),
    (
        "context",
        "error",
        {"e/seq_length": 16400, "e/layout": layout(4), "e/train/recompute_granularity": "full"},
        {"e/seq_length": 16384, "e/layout": layout(4), "e/train/recompute_granularity": "full"},
    ),
    ("base-context", "error", {"e/generate/base": DROP}, {}),
    ("base-context", "error", {"e/generate/base/seq_length": 4097}, {"e/generate/base/seq_length": 4096}),
    ("dtype", "warning", {"e/params_dtype": "fp16"}, {"e/params_dtype": "bf16"}),
    (
        "dtype-cpu",
        "error",
        {"e/hardware": "laptop", "e/train/engine": "mindspore"},
        {"e/hardware": "laptop", "e/train/engine": "mindspore", "e/params_dtype": "fp32"},
    ),
    (
        "engine-device",
        "error",
        {"e/hardware": "laptop"},
        {"e/hardware": "laptop", "e/train/engine": "mindspore"},
    ),
    (
        "engine-option",
        "error",
        {"e/train/engine": "mindspore", "e/train/context_parallel_size": 2},
        {"e/train/engine": "mindspore", "e/train/context_parallel_size": 1},
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
        {**MINDSPEED, "e/generate/max_tokens_to_oom": 8191},
        {**MINDSPEED, "e/generate/max_tokens_to_oom": 8192},
    ),
    (
        "tokens-to-oom",
        "error",
        {**MINDSPEED, "e/generate/seq_length": 12001},
        {**MINDSPEED, "e/generate/seq_length": 12000},
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
    ("no-kv-cache", "warning", MINDSPEED, {**MINDSPEED, "e/generate/use_kv_cache": True}),
    ("no-kv-cache", "warning", {**MINDSPEED, "e/generate/use_kv_cache": False}, {}),
    ("device-memory", "error", {"e/layout": layout(1, 2)}, TWO_STAGES),
    ("device-memory", "error", {"h/memory_gib": 54.1}, {"h/memory_gib": 54.3}),
    ("device-unknown", "warning", {"h/chip": DROP}, {"h/chip": DROP, "h/memory_gib": 60}),
    ("accept", "error", {"e/accept": ["bogus"]}, {"e/accept": ["epochs", "unboxed"]}),
    ("accept", "error", {"e/accept": ["min-lr"], "e/train/min_lr": 1e-3}, {"e/accept": ["min-lr"]}),
    (
        "mindspeed-home",
        "error",
        {"h/mindspeed_llm": DROP},
        {"h/mindspeed_llm": DROP, "e/train/engine": "mindspore"},
    ),
    (
        "mindspeed-flag",
        "error",
        {"e/tokenize": {"engine": "mindspeed-llm"}, "e/prompt_type": "hunyuan9"},
        {"e/tokenize": {"engine": "mindspeed-llm"}},
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
        "map-keys",
        "error",
        {
            "c/datasets/openr1-math-220k/handler_name": "auto",
            "c/datasets/openr1-math-220k/map_keys": {"messages": "m"},
        },
        {"c/datasets/openr1-math-220k/handler_name": "auto"},
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
        {"e/train/eval_iters": 10},
        {"e/train/eval_iters": 10, "e/train/eval_interval": 10, "e/train/split": "95,5,0"},
    ),
    ("no-effect", "warning", {"e/train/lr_decay_style": "constant"}, {"e/train/lr_decay_style": "linear"}),
    ("no-effect", "warning", {"e/tokenize": {"n_subs": 2}}, {"e/tokenize": {"n_subs": 2, "pack": True}}),
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
    # the derived line leaves variable lengths out where the sequence is cut over ranks
    (
        "context-parallel",
        "error",
        {"e/train/context_parallel_size": 2, "e/train/variable_seq_lengths": True},
        {"e/train/context_parallel_size": 2},
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
    found = findings(SEVEN, bad)
    assert (id, severity) in {(one.id, one.severity) for one in found}, [str(one) for one in found]
    assert id not in {one.id for one in findings(SEVEN, good)}


def test_sizes_of_a_random_model_that_do_not_divide():
    bad = {"c/models/tiny-qwen2/random/config/num_attention_heads": 5}
    assert [one.id for one in findings(TINY, bad)] == ["model-sizes"]
    assert findings(TINY, {"c/models/tiny-qwen2/random/config/num_attention_heads": 6}) == []


def test_a_vocabulary_smaller_than_its_tokenizer():
    setup = gather(config.load(SEVEN), "qwen2.5-math-7b")
    assert list(model_checks.vocabulary(setup)) == []
    small = replace(setup.architecture, vocab_size=151664)
    setup = replace(setup, known=replace(setup.known, architecture=small))
    assert [one.id for one in model_checks.vocabulary(setup)] == ["vocabulary"]


def test_every_check_has_a_row():
    """A finding must have an id of its table; what asks this machine or the files is tested beside that."""
    known = {name for section in SECTIONS for name in SECTIONS[section]}
    elsewhere = {*SECTIONS["this machine"], *SECTIONS["fetched files"]}
    # the sizes of random models and recorded vocabularies have tests of their own
    others = {"model-sizes", "vocabulary", *SECTIONS["imported scripts"]}
    assert {row[0] for row in TABLE} == known - elsewhere - others
    with pytest.raises(AssertionError, match="MEANINGS"):
        Finding("no-such-id", (), "", "", "")


@pytest.mark.parametrize("name", ["config", "smollm2-135m", "qwen2.5-math-7b", "openr1-qwen-7b"])
def test_the_configurations_that_run_plan_clean(name):
    raw = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert [str(one) for one in findings(raw) if one.severity != "accepted"] == []


def test_a_finding_is_one_line_with_its_keys_and_its_fix():
    (one,) = findings(SEVEN, {"e/train/global_batch_size": 66})
    assert str(one).startswith(
        "error[batch-split] experiments.qwen2.5-math-7b.train.global_batch_size, "
        "experiments.qwen2.5-math-7b.train.micro_batch_size, hardware.atlas-800t-a2.npus_per_node: 66 "
    )
    assert str(one).endswith("; set global_batch_size to 64")
    assert "\n" not in str(one)


def test_accepted_warnings_say_so_and_errors_cannot_be_accepted():
    bad = {"e/train/lr": 1e-6, "e/train/min_lr": 1e-3}
    plain = findings(SEVEN, bad)
    assert [(one.id, one.severity) for one in plain] == [("min-lr", "error"), ("learning-rate", "warning")]
    accepted = findings(SEVEN, {**bad, "e/accept": ["learning-rate", "min-lr"]})
    assert [(one.id, one.severity) for one in accepted] == [
        ("min-lr", "error"),
        ("accept", "error"),
        ("learning-rate", "accepted"),
    ]


# the guide's four common changes, one key each
COMMON = [
    # number of devices: the pipeline, then the tensor size shrink to fit
    ({}, {"e/generate/npus_per_node": 1}, ("TP2 PP1", "TP1 PP1"), 7168, 3072),
    ({}, {"e/train/npus_per_node": 1}, ("TP1 PP1", "TP1 PP1"), 7168, 3072),
    ({}, {"e/train/npus_per_node": 4}, ("TP2 PP1", "TP2 PP1"), 7168, 3072),
    ({}, {"h/npus_per_node": 1}, ("TP1 PP1", "TP1 PP1"), 7168, 3072),
    ({"e/layout": layout(1, 2)}, {"e/train/npus_per_node": 1}, ("TP1 PP1", "TP1 PP1"), 7168, 3072),
    ({"e/layout": layout(2, 2)}, {"e/train/npus_per_node": 2}, ("TP2 PP1", "TP2 PP1"), 7168, 3072),
    # tensor and pipeline sizes
    ({}, {"e/layout": layout(1, 2)}, ("TP1 PP2", "TP1 PP2"), 7168, 3072),
    # length of answers
    ({}, {"e/generate/max_new_tokens": 512}, ("TP2 PP1", "TP2 PP1"), 512, 512),
    ({}, {"e/generate/max_new_tokens": 5000}, ("TP2 PP1", "TP2 PP1"), 5000, 3072),
    # length of sequences
    ({}, {"e/seq_length": 4096}, ("TP2 PP1", "TP2 PP1"), 3072, 3072),
    ({}, {"e/seq_length": 2048}, ("TP2 PP1", "TP2 PP1"), 1536, 1536),
]


@pytest.mark.parametrize(("before", "change", "layouts", "new", "base"), COMMON)
def test_common_changes_are_one_key_each(before, change, layouts, new, base):
    assert len(change) == 1
    loaded = config.load(changed(SEVEN, {**before, **change}))
    (experiment,) = loaded.experiments.values()
    assert (describe(experiment.train.layout), describe(experiment.generate.layout)) == layouts
    assert experiment.generate.flags["max_new_tokens"] == new
    assert experiment.base_generation.settings["max_new_tokens"] == base
    # whether it fits is another question: one device holds no training of 7B
    errors = [str(one) for one in checks.run(loaded) if one.severity == "error" and one.id != "device-memory"]
    assert errors == []
    moved = [
        one.keys[1].rpartition("qwen2.5-math-7b.")[2]
        for one in checks.run(loaded)
        if one.id == "layout-change"
    ]
    (key,) = change
    resharded = len({describe(experiment.convert.layout), *layouts}) > 1
    where = "hardware.atlas-800t-a2.npus_per_node" if key.startswith("h/") else key[2:].replace("/", ".")
    assert moved == ([where] if resharded else [])
    assert (artefacts.weights(experiment).path.count("-to-") == 1) == (
        layouts[0] != describe(experiment.convert.layout)
    )


def test_no_line_for_answers_has_sequence_parallelism():
    """MindSpeed-LLM refuses it beside its cache, and training's has no part in answers."""
    (one,) = config.load(
        changed(SEVEN, {**MINDSPEED, "e/train/sequence_parallel": True})
    ).experiments.values()
    assert "sequence_parallel" in one.train.flags and "sequence_parallel" not in generate_stage.of_experiment(
        one
    )


def test_a_change_of_the_length_makes_context_go_away():
    bad = {"e/rope": DROP}
    assert "context" in {one.id for one in findings(SEVEN, bad)}
    assert "context" not in {one.id for one in findings(SEVEN, {**bad, "e/seq_length": 4096})}


def test_a_model_of_this_machine_is_checked_by_its_own_config(tmp_path):
    folder = {"c/models/qwen2.5-math-7b": {"path": {"path": str(tmp_path)}}}
    assert "unknown-model" in {one.id for one in findings(SEVEN, folder)}
    known = dict(known_models.known("Qwen/Qwen2.5-Math-7B").config)
    (tmp_path / "config.json").write_text(json.dumps(known))
    (tmp_path / "model.safetensors").touch()
    assert findings(SEVEN, folder) == []
    found = findings(SEVEN, {**folder, "e/rope": DROP, "e/layout": layout(8)})
    assert {"context", "tensor-split"} <= {one.id for one in found}
    (tmp_path / "config.json").write_text(json.dumps({**known, "model_type": "mamba"}))
    assert [one.id for one in findings(SEVEN, folder)] == ["model-sizes"]
    (tmp_path / "config.json").write_text("{")
    assert [one.id for one in findings(SEVEN, folder)] == ["model-sizes"]


def test_findings_say_whose_they_are_and_shared_ones_are_printed_once():
    raw = changed(SEVEN, {"c/models/qwen2.5-math-7b/hub/repo": "someone/else"})
    (one,) = raw["experiments"].values()
    raw["experiments"] = {"a": one, "b": {**one, "accept": ["unknown-model"]}, "c": one}
    loaded = config.load(raw)
    found = [(each.severity, each.experiments) for each in checks.run(loaded) if each.id == "unknown-model"]
    assert found == [("warning", ("a", "c")), ("accepted", ("b",))]
    said = estimate.summary(loaded, "b", checks.run(loaded))["findings"]
    assert [(each["id"], each["severity"]) for each in said] == [("unknown-model", "accepted")]


def test_a_request_beyond_what_snakemake_may_give_is_an_error_with_the_other_findings():
    loaded = config.load(SEVEN)
    assert machine_checks.granted(loaded, 8) == []
    found = machine_checks.granted(loaded, 4)
    assert len(found) == 2
    for stage, one in zip(("train", "generate"), found, strict=True):
        assert str(one).startswith(
            f"error[npu-limit] experiments.qwen2.5-math-7b ({stage}), hardware.atlas-800t-a2."
        )
        assert "8 devices, more than --resources npu=4 allows, expected npu=8" in str(one)


def test_layouts_are_proposed_that_all_checks_let_pass():
    """72B with GBS 64 and context parallel ranks: nothing that another check would refuse at once."""
    big = {"c/models/qwen2.5-math-7b/hub/repo": "Qwen/Qwen2.5-Math-72B", "e/layout": layout(8)}
    (one,) = [each for each in findings(SEVEN, big) if each.id == "device-memory"]
    assert re.search(r"use at least \d+ devices \(\d+ nodes of 8\): TP\d+ PP\d+", one.fix), one.fix
    bad = {
        "e/layout": layout(1),
        "e/train/context_parallel_size": 2,
        "e/train/sequence_parallel": True,
        "e/train/global_batch_size": 6,
    }
    (one,) = [each for each in findings(SEVEN, bad) if each.id == "device-memory"]
    proposed = re.findall(r"TP(\d+) PP(\d+)( with recompute)?", one.fix)
    assert proposed
    for tensor, stages, recompute in proposed:
        cure = {"e/layout": layout(int(tensor), int(stages))}
        cure |= {"e/train/recompute_granularity": "full"} if recompute else {}
        assert [each for each in findings(SEVEN, {**bad, **cure}) if each.severity == "error"] == []


def test_ten_experiments_are_checked_in_a_fifth_of_a_second():
    raw = guide()
    raw["experiments"] = {f"e{number}": raw["experiments"][NAME] for number in range(10)}
    loaded = config.load(raw)
    checks.run(loaded)  # recorded facts are read once
    start = time.process_time()
    checks.run(loaded)
    assert time.process_time() - start < 0.2
