"""Each cross-check finds its contradiction and nothing near it; the guide's own values give its own list."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from distillery import config
from distillery.planning import checks
from distillery.planning.checks import model
from distillery.planning.finding import Finding
from distillery.planning.subject import gather

CONFIGS = Path(__file__).parent.parent / "config"
SEVEN = yaml.safe_load((CONFIGS / "qwen2.5-math-7b.yaml").read_text())
VERBATIM = yaml.safe_load((CONFIGS / "guide-verbatim.yaml").read_text())
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


MINDSPEED = {"e/generate/engine": "mindspeed-llm", "e/generate/max_tokens_to_oom": 262144}
ONE = {**MINDSPEED, "e/generate/micro_batch_size": 1}
BEAM = {"e/generate/task": "beam_search", "e/generate/num_samples": 1, "e/generate/num_beams": 4}
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
    ("devices", "error", {"e/train/npus_per_node": 1}, {"e/train/npus_per_node": 4}),
    ("layout-change", "warning", {"e/train/layout": layout(4)}, {"e/train/layout": layout(2)}),
    ("tensor-split", "error", {"e/layout": layout(8)}, {"e/layout": layout(4)}),
    ("layer-split", "error", {"e/layout": layout(1, 8)}, {"e/layout": layout(2, 4)}),
    ("layer-list", "error", {"e/layout": layout(2, 2, [11, 16])}, {"e/layout": layout(2, 2, [13, 15])}),
    ("layer-list", "error", {"e/layout": layout(2, 2, [28])}, {"e/layout": layout(2, 2, [14, 14])}),
    ("layer-list", "error", {"e/layout": layout(2, 1, [28])}, {"e/layout": layout(2)}),
    (
        "virtual-pipeline",
        "error",
        {**TWO_STAGES, "e/train/num_layers_per_virtual_pipeline_stage": 4},
        {**TWO_STAGES, "e/train/num_layers_per_virtual_pipeline_stage": 7},
    ),
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
    ("not-resumable", "warning", {"e/train/finetune": True}, {"e/train/finetune": False}),
    (
        "unknown-model",
        "warning",
        {"c/models/qwen2.5-math-7b/hub/repo": "someone/else"},
        {"c/models/qwen2.5-math-7b/hub/repo": "Qwen/Qwen2.5-Math-1.5B"},
    ),
    ("rope-base", "error", {"e/rope/override": False}, {"e/rope/override": True}),
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
    ("base-context", "error", {"e/generate/base": DROP}, {"e/generate/base": {"seq_length": 4096}}),
    (
        "base-context",
        "error",
        {"e/generate/base/seq_length": 4097},
        {"e/generate/base": {"seq_length": 4096, "max_new_tokens": 9}},
    ),
    ("dtype", "warning", {"e/params_dtype": "fp16"}, {"e/params_dtype": "bf16"}),
    (
        "dtype-cpu",
        "error",
        {"e/hardware": "laptop", "e/engine": "mindspore"},
        {"e/hardware": "laptop", "e/engine": "mindspore", "e/params_dtype": "fp32"},
    ),
    ("engine-device", "error", {"e/hardware": "laptop"}, {"e/hardware": "laptop", "e/engine": "mindspore"}),
    (
        "engine-option",
        "error",
        {"e/engine": "mindspore", "e/train/context_parallel_size": 2},
        {"e/engine": "mindspore", "e/train/context_parallel_size": 1},
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
    ("tokens-to-oom", "error", {**ONE, "e/generate/max_tokens_to_oom": 8191}, ONE),
    ("beam-batch", "error", {**MINDSPEED, **BEAM}, {**ONE, **BEAM}),
    ("beam-answers", "error", {**BEAM, "e/generate/num_samples": 5}, BEAM),
    ("beams-unused", "warning", {"e/generate/num_beams": 2}, BEAM),
    ("greedy-sampling", "warning", {**GREEDY, "e/generate/top_p": 0.9}, GREEDY),
    ("greedy-samples", "warning", {**GREEDY, "e/generate/num_samples": 2}, GREEDY),
    ("no-task", "error", {"e/generate/task": None}, {}),
    ("chat-task", "error", {"e/generate/task": "chat"}, {}),
    (
        "two-templates",
        "error",
        {"e/generate/hf_chat_template": True, "e/generate/prompt_type": "qwen_math_r1"},
        {"e/generate/hf_chat_template": True},
    ),
    (
        "kv-cache",
        "error",
        {"e/train/sequence_parallel": True, "e/generate/use_kv_cache": True},
        {"e/generate/use_kv_cache": True},
    ),
    ("no-kv-cache", "warning", {"e/generate/use_kv_cache": False}, {"e/generate/use_kv_cache": True}),
    ("msrun-join", "error", {"h/msrun": {"join": False}}, {"h/msrun": {"join": True}}),
    ("device-memory", "error", {"e/layout": layout(1, 2)}, TWO_STAGES),
    ("device-memory", "error", {"h/memory_gib": 54.1}, {"h/memory_gib": 54.3}),
]


@pytest.mark.parametrize(("id", "severity", "bad", "good"), TABLE)
def test_check(id, severity, bad, good):
    found = findings(SEVEN, bad)
    assert (id, severity) in {(one.id, one.severity) for one in found}, [str(one) for one in found]
    assert id not in {one.id for one in findings(SEVEN, good)}


def test_sizes_of_a_random_model_that_do_not_divide():
    bad = {"c/models/tiny-qwen2/random/config/num_attention_heads": 5}
    assert [one.id for one in findings(TINY, bad)] == ["model-sizes"]
    assert findings(TINY, {"c/models/tiny-qwen2/random/config/num_attention_heads": 2}) == []


def test_a_vocabulary_smaller_than_its_tokenizer():
    subject = gather(config.load(SEVEN), "qwen2.5-math-7b")
    assert list(model.vocabulary(subject)) == []
    small = replace(subject.architecture, vocab_size=151664)
    subject = replace(subject, known=replace(subject.known, architecture=small))
    assert [one.id for one in model.vocabulary(subject)] == ["vocabulary"]


def test_every_check_has_a_row():
    sources = [path for path in Path(checks.__file__).parent.glob("*.py") if path.name != "host.py"]
    text = "".join(path.read_text() for path in sources)
    # the sizes of random models and recorded vocabularies have tests of their own
    assert set(ids(text)) == {row[0] for row in TABLE} | {"model-sizes", "vocabulary"}


def ids(text: str) -> list[str]:
    """First arguments of every `Finding(...)` in a source text."""
    return [part.split('"')[1] for part in text.split("Finding(")[1:]]


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
        ("learning-rate", "accepted"),
    ]


GUIDE = {
    "devices",
    "rope-base",
    "context",
    "prompt-type",
    "template-markers",
    "stop-token",
    "tokens-to-oom",
    "no-task",
    "msrun-join",
    "device-memory",
    "layout-change",
    "epochs",
    "learning-rate",
    "one-checkpoint",
    "not-resumable",
    "tokenize-length",
    "some-shards",
    "answer-budget",
}


def test_the_guide_contradicts_itself_in_eighteen_ways():
    found = findings(VERBATIM)
    assert {one.id for one in found} == GUIDE
    text = "\n".join(map(str, found))
    for words in (
        "1e+06, expected 10000",
        "8192 tokens, expected at most 4096",
        "<｜User｜> <｜Assistant｜>",
        "<|im_end|> (151645), deepseek3 stops at <|endoftext|> (151643)",
        "1 device for TP1 PP2",
        "13.7 epochs of 9373 rows",
        "1 of 10 shards",
        "40 times below",
        "pipe to tee",
        "known after tokenize",
    ):
        assert words in text
    # the guide answers with the layout that it trains with, so three layouts differ in two places
    assert [one.found for one in found if one.id == "layout-change"] == [
        "weights are TP2 PP1, training starts from TP1 PP2",
        "weights are TP2 PP1, the export starts from TP1 PP1",
    ]


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"e/train/rope": DROP, "e/generate/rope": {"rotary_base": 1000000}}, ["rope-base"]),
        ({"e/generate/rope": DROP}, ["rope-base"]),
        ({"e/train/prompt_type": DROP}, ["prompt-type", "template-markers"]),
        ({"e/generate/prompt_type": DROP}, ["prompt-type", "template-markers", "stop-token"]),
        ({"e/generate/npus_per_node": 2}, ["devices"]),
        ({"e/generate/task": "greedy"}, ["no-task"]),
        ({"e/generate/max_new_tokens": 7000}, ["answer-budget"]),
        ({"e/generate/max_tokens_to_oom": 8192}, ["tokens-to-oom"]),
        ({"h/msrun": {"join": True, "tee": True}}, ["msrun-join"]),
        ({"e/train/recompute_granularity": "full"}, ["device-memory"]),
        ({"e/export": DROP}, ["layout-change"]),
        ({"e/train/lr": 5e-5}, ["learning-rate"]),
        ({"e/train/save_interval": 500}, ["one-checkpoint"]),
        (
            {"e/train/finetune": DROP, "e/train/no_load_optim": DROP, "e/train/no_save_optim": DROP},
            ["not-resumable"],
        ),
        ({"e/tokenize/seq_length": DROP}, ["tokenize-length"]),
        ({"e/tokenize/shards": DROP}, ["some-shards", "epochs"]),
    ],
)
def test_changing_one_value_makes_just_its_lines_go_away(change, lines):
    before, after = list(map(str, findings(VERBATIM))), list(map(str, findings(VERBATIM, change)))
    assert [line for line in after if line not in before] == []
    gone = [line.partition("[")[2].partition("]")[0] for line in before if line not in after]
    assert sorted(gone) == sorted(lines)


@pytest.mark.parametrize(
    ("change", "layouts"),
    [
        # the guide's four common changes, one key each
        ({"e/generate/npus_per_node": 1}, ("TP2 PP1", "TP1 PP1")),
        ({"e/layout": layout(1, 2)}, ("TP1 PP2", "TP1 PP2")),
        ({"e/generate/max_new_tokens": 512}, ("TP2 PP1", "TP2 PP1")),
        ({"e/seq_length": 4096}, ("TP2 PP1", "TP2 PP1")),
    ],
)
def test_common_changes_are_one_key_each(change, layouts):
    from distillery.planning.checks.layout import describe

    raw = changed(SEVEN, {**ONE, "e/generate/base": {"seq_length": 4096, "max_new_tokens": 256}, **change})
    if "e/seq_length" in change:
        raw["experiments"]["qwen2.5-math-7b"]["generate"]["max_new_tokens"] = 3072
    loaded = config.load(raw)
    (experiment,) = loaded.experiments.values()
    assert (describe(experiment.training.layout), describe(experiment.answering.layout)) == layouts
    errors = [str(one) for one in checks.run(loaded) if one.severity == "error" and one.id != "device-memory"]
    assert errors == []
    moved = [one for one in checks.run(loaded) if one.id == "layout-change"]
    assert bool(moved) == (layouts[0] != layouts[1])
