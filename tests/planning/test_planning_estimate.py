"""Speed and size by formula, against the published rows and what was measured."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import yaml
from guide_scripts import NAME, guide
from places import ROOT

from distillery import config
from distillery.architecture import Architecture
from distillery.experiment import Layout, ProblemSet, Source
from distillery.planning import device_facts, estimate, memory, plan_step, stage_costs
from distillery.planning.checks import memory_checks
from distillery.planning.experiment_setup import gather

SEVEN = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())


def test_answering_is_bound_by_reading_the_weights():
    """SmolLM2-135M in fp32 at batch 1 took 21 ms a token where memory gave 40 GB/s, 13.6 ms of them reading."""
    raw = yaml.safe_load((ROOT / "config/smollm2-135m.yaml").read_text())
    (experiment,) = raw["experiments"].values()
    experiment["generate"] |= {"micro_batch_size": 1, "max_new_tokens": 100}
    (name,) = raw["experiments"]
    setup = replace(
        gather(config.load(raw), name),
        problems={"stories-heldout": ProblemSet(Source("generator", {"rows": 10}), {})},
    )
    found = estimate.of(setup)
    answer = next(step for step in found.steps if step.name == "generate tuned")
    assert 0.0136 < answer.seconds / answer.tokens < 0.021


def test_copies_of_the_model_share_the_problems_and_their_time():
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    found = {}
    for devices in (2, 8):
        raw["experiments"]["qwen2.5-math-7b"]["generate"]["npus_per_node"] = devices
        setup = gather(config.load(raw), "qwen2.5-math-7b")
        found[devices] = next(one for one in estimate.of(setup).steps if one.name == "generate tuned")
        assert found[devices].devices == devices
    assert found[2].tokens == found[8].tokens == 500 * 4 * 7168
    assert found[2].seconds / found[8].seconds == pytest.approx(4)
    assert found[8].host_bytes == pytest.approx(4 * found[2].host_bytes)


def test_speeds_left_out_of_the_fit():
    """What came out, to a percent: tuning within 15 %, pre-training only in part, and the plan uses tuning."""
    left_out = {
        (row.model, row.seq_length, row.published): row.error
        for row in device_facts.table()
        if not row.fitted
    }
    assert left_out == pytest.approx(
        {
            ("LLaMA2-7B", 32768, 2089): -0.10,  # the one row of full fine-tuning that the fit did not see
            ("Baichuan2-7B", 4096, 2664): 0.06,
            ("ChatGLM3-6B", 32768, 2501): -0.12,
            ("ChatGLM3-6B", 8192, 4297): -0.28,  # two groups of keys and values, and a kernel for them
            ("LLaMA2-7B", 4096, 2465): 0.21,  # the MindSpore back end, slower than the fit's PyTorch
        },
        abs=0.006,
    )
    assert device_facts.utilisation("tuning") == pytest.approx(0.296, abs=0.001)


def test_the_guides_experiment_takes_hours_and_a_hundred_gigabytes():
    setup = gather(config.load(SEVEN), "qwen2.5-math-7b")
    found = estimate.of(setup)
    steps = {step.name: step for step in found.steps}
    assert steps["fetch model"].disk_bytes == pytest.approx(15.23e9, rel=0.001)
    assert steps["fetch data"].disk_bytes == pytest.approx(2.15e9, rel=0.01)
    assert steps["train"].device_memory.gib == pytest.approx(54.2, abs=0.1)
    # checkpoints with fp32 master weights and moments, 15.2 + 91.4 GB each; Megatron keeps all four
    assert steps["train"].disk_bytes == pytest.approx(4 * 106.6e9, rel=0.01)
    assert steps["train"].tokens == 2000 * 64 * 5300
    # 128,000 rows of 5300 tokens at 29.6 % of 8 * 313 * 10^12
    assert steps["train"].seconds / 3600 == pytest.approx(11.6, rel=0.02)
    assert steps["convert"].host_bytes < 0.2e9
    # eight ranks, and the state of one replica gathered on its ranks to be saved
    assert steps["train"].host_bytes == pytest.approx(8 * 4e9 + 106.6e9, rel=0.01)
    # the original weights answer within their own context, and in fewer tokens
    assert steps["generate base"].tokens == 500 * 4 * 3072
    assert (
        steps["generate base"].device_memory.activations
        == steps["generate tuned"].device_memory.activations / 2
    )


def seven(**changes: object) -> dict[str, estimate.Step]:
    """Steps of the guide's experiment with keys of the experiment changed."""
    raw = copy.deepcopy(SEVEN)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        raw["experiments"]["qwen2.5-math-7b"].setdefault(section, {})[key] = value
    return {step.name: step for step in estimate.of(gather(config.load(raw), "qwen2.5-math-7b")).steps}


def test_what_megatron_saves_stays_and_the_built_in_engine_keeps_two():
    assert seven(train__save_interval=20)["train"].disk_bytes == pytest.approx(100 * 106.6e9, rel=0.01)
    assert seven(train__save_interval=300)["train"].disk_bytes == pytest.approx(7 * 106.6e9, rel=0.01)
    assert seven(train__engine="mindspore")["train"].disk_bytes == pytest.approx(2 * 106.6e9, rel=0.01)
    assert seven(train__no_save_optim=True)["train"].disk_bytes == pytest.approx(4 * 15.2e9, rel=0.01)


def test_packed_sequences_are_full_and_hold_several_rows():
    packed = seven(tokenize__pack=True)["train"]
    assert packed.tokens == 2000 * 64 * 8192
    raw = copy.deepcopy(SEVEN)
    raw["experiments"]["qwen2.5-math-7b"]["tokenize"] = {"pack": True}
    setup = gather(config.load(raw), "qwen2.5-math-7b")
    assert setup.epochs == pytest.approx(2000 * 64 * (8192 / 5300) / 93733)
    del raw["datasets"]["openr1-math-220k"]["source"]["hub"]["tokens_per_row"]
    assert gather(config.load(raw), "qwen2.5-math-7b").epochs is None


def test_the_references_converter_and_tokenizer_take_more():
    ours, theirs = seven(), seven(convert__engine="mindspeed-llm", tokenize__engine="mindspeed-llm")
    for step in ("convert", "export", "tokenize"):
        assert (ours[step].engine, theirs[step].engine) == ("mindspore", "mindspeed-llm")
        assert theirs[step].seconds > 5 * ours[step].seconds
    # 4.24 GB of memory for 1.26 GB of weights, and 5.5 GB back
    assert theirs["convert"].host_bytes == pytest.approx(15.2e9 * 3.4, rel=0.01)
    assert theirs["export"].host_bytes == pytest.approx(15.2e9 * 4.4, rel=0.01)


def test_an_experiment_of_a_laptop_is_estimated_whole():
    setup = gather(
        config.load(yaml.safe_load((ROOT / "config/smollm2-135m.yaml").read_text())), "smollm2-stories"
    )
    steps = {step.name: step for step in estimate.of(setup).steps}
    assert steps["tokenize"].tokens == 2100 * 256
    assert steps["generate tuned"].tokens == 300 * 64
    # cut over six ranks, put together again
    assert "reshard" in steps and "reshard tuned" not in steps
    assert all(step.seconds for name, step in steps.items() if not name.startswith("fetch"))


# bench_train.py's shapes and rows, whether recomputed, and peak resident GB (benchmarks/engine-notes.md)
PROCESSES = [
    (("A", 8, False), 0.63),
    (("B", 4, False), 1.15),
    (("C", 8, False), 0.441),
    (("B", 16, False), 2.78),
    (("B", 4, True), 0.82),
    (("B", 16, True), 1.06),
]


@pytest.mark.parametrize(("case", "gigabytes"), PROCESSES)
def test_memory_of_the_built_in_engine_on_a_cpu(case, gigabytes):
    """Fitted on A, C and B with 16 rows; the other three were left out."""
    shape, rows, recompute = case
    hidden, layers, vocabulary, heads, groups, ffn, length = {
        "A": (128, 4, 4096, 4, 2, 384, 256),
        "B": (256, 8, 8192, 8, 4, 768, 512),
        "C": (96, 2, 511, 4, 2, 256, 128),
    }[shape]
    model = Architecture(
        num_layers=layers,
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        num_attention_heads=heads,
        num_query_groups=groups,
        kv_channels=hidden // heads,
        vocab_size=vocabulary,
        untie_embeddings_and_output_weights=False,
        add_qkv_bias=True,
        max_position_embeddings=length,
    )
    at_once = stage_costs.LOGITS_AT_ONCE if recompute else None
    run = memory.Run(length, rows, recompute=recompute, logits_at_once=at_once, distributed_optimizer=False)
    found = memory.process_bytes(memory.fullest(model, Layout("fp32", 1, 1), run))
    assert found / 1e9 == pytest.approx(gigabytes, rel=0.05)


@pytest.mark.mindspore
def test_logits_come_in_the_engines_own_pieces():
    from distillery.engine import passes

    assert stage_costs.LOGITS_AT_ONCE == passes.LOGITS


def test_layouts_that_fit_are_proposed_nearest_first():
    setup = gather(config.load(guide()), NAME)
    assert memory_checks.fitting(setup, 58.0) == [
        "TP1 PP2 with recompute_granularity: full (41.9 GiB)",
        "TP2 PP1 (54.2 GiB)",
        "TP1 PP4 (54.2 GiB)",
    ]
    assert memory_checks.fitting(setup, 5.0) == []


def test_answers_on_npus_are_labelled_unmeasured():
    """Only a bound from bandwidth is known there: it must not pass for a measurement."""
    (name,) = SEVEN["experiments"]
    assert "unmeasured" in estimate.of(gather(config.load(SEVEN), name)).assumptions["answers"]
    small = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    assert estimate.of(gather(config.load(small), "embedded")).assumptions["answers"] is None


def test_a_plan_ends_with_what_its_due_jobs_take():
    job = {"due": True, "seconds": 90.0, "disk_bytes": 2e9, "tokens": 1000}
    jobs = [job, job, {**job, "due": False}, {**job, "seconds": None, "disk_bytes": None, "tokens": None}]
    assert plan_step.totals(jobs, 5e9) == (
        "in all: 3 jobs, 3 min if one runs after another and 1 whose time is not known,"
        " 4 GB to write (5 GB free), 2,000 tokens"
    )
