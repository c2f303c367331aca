"""Findings: how they read, whose they are, what accepts them, and which configurations have none."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import pytest
import test_planning_checks
import test_planning_checks_data
import test_planning_checks_engines
import yaml
from guide_scripts import NAME, guide
from planning_configs import CONFIGS, DROP, MINDSPEED, SEVEN, TINY, changed, findings, layout

from distillery import artefacts, config
from distillery.launch.mindspeed import generate_stage
from distillery.planning import checks, estimate, known_models
from distillery.planning.checks import machine_checks, model_checks
from distillery.planning.checks.layout_checks import describe
from distillery.planning.experiment_setup import gather
from distillery.planning.finding import SECTIONS, Finding

TABLES = [*test_planning_checks.TABLE, *test_planning_checks_data.TABLE, *test_planning_checks_engines.TABLE]


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
    assert {row[0] for row in TABLES} == known - elsewhere - others
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
