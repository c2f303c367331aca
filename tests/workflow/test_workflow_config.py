"""A wrong configuration ends before any job, with the key, what was found and what is allowed."""

from __future__ import annotations

import copy
import math
import re
import subprocess
import sys
from fnmatch import fnmatch

import pytest
import yaml
from house import House
from places import FIXTURES, ROOT
from readme import BOTH, tree

from distillery import config, config_faults
from distillery.problems import Problem

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())


def changed(path: str, value) -> dict:
    raw = copy.deepcopy(SMALL)
    *parents, last = path.split(".")
    node = raw
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "experiments.small.seq_len",
            9,
            ["experiments.small.seq_len", "unknown key", "did you mean seq_length"],
        ),
        ("experiments.small.seq_length", "long", ["experiments.small.seq_length", "'long'", "integer"]),
        ("experiments.small.train.lr", "3e-3", ["experiments.small.train.lr", "'3e-3'", "3.0e-3"]),
        ("experiments.small.model", "huge", ["experiments.small.model", "'huge'", "tiny"]),
        ("experiments.small.generate.task", "sing", ["experiments.small.generate.task", "'sing'", "greedy"]),
        ("models.tiny.wheel", {}, ["models.tiny", "random, wheel", "exactly one of"]),
        ("run", ["nothing"], ["run.0", "'nothing'", "small"]),
        ("run", [], ["run", "[]", "non-empty"]),
        ("experiments.small.train.lr", math.nan, ["experiments.small.train.lr", "nan", "finite"]),
        ("experiments.small.train.lr", math.inf, ["experiments.small.train.lr", "inf", "finite"]),
        ("experiments.small.train.lr", 0, ["experiments.small.train.lr", "0", "from 0, finite, but not 0"]),
        ("experiments.small.seq_length", 1, ["experiments.small.seq_length", "1", "whole number from 2"]),
        ("experiments.small.rope", {"rotary_base": 0}, ["experiments.small.rope.rotary_base", "0", "from 1"]),
        (
            "experiments.small.generate.temperature",
            1e-9,
            ["generate.temperature", "1e-09", "from 0.01 to 100"],
        ),
        ("experiments.small.generate.length_penalty", 1e9, ["length_penalty", "from -10 to 10"]),
        ("experiments.small.generate.top_p", 0.0, ["generate.top_p", "0.0", "from 0 to 1, but not 0"]),
        ("experiments.small.train.split", "95;5;0", ["experiments.small.train.split", "95;5;0"]),
        ("models.tiny", {5: {}}, ["models.tiny.5", "the key 5 (int)", "quoted"]),
        ("experiments.small.sweep", {True: [1]}, ["experiments.small.sweep.True", "the key True (bool)"]),
        (
            "experiments.small.sweep",
            {"train.lr.x": [1, 2]},
            ["experiments.small.sweep.train.lr.x", "train.lr is a value"],
        ),
    ],
)
def test_faults_name_key_found_and_allowed(path, value, words):
    with pytest.raises(Problem) as caught:
        config.load(changed(path, value))
    for word in words:
        assert word in str(caught.value)


def hub(**removed: object) -> dict:
    """A problem set as it may stand, and a key that it had once."""
    return {
        "hub": {"host": "huggingface", "repo": "a/b", "revision": "main", "files": "test.jsonl", **removed}
    }


CHAMP = {"package": "champ-dataset==1.0.0", "sha256": "0" * 64, "shards": 2}
REMOVED = {
    "models.*.gguf": (
        "models.mine",
        {"gguf": {"package": "a==1", "sha256": "0" * 64, "member": "a/x.gguf"}},
        "files in the place of member",
    ),
    "datasets.*.source.champ": (
        "datasets.mine",
        {"source": {"champ": CHAMP}},
        "write dataset: champ, an entry",
    ),
    "problem_sets.*.champ": (
        "problem_sets.mine",
        {"champ": {"dataset": "sums"}},
        "write problems: champ-heldout, an",
    ),
    "problem_sets.*.hub.columns": (
        "problem_sets.mine",
        hub(columns={"uuid": "id"}),
        "write columns beside hub",
    ),
    "problem_sets.*.hub.file": ("problem_sets.mine", hub(file="test.jsonl"), "write files: a name"),
    "problem_sets.*.hub.rows": ("problem_sets.mine", hub(rows=5), "write rows beside hub"),
    "hardware.*.msrun.join": ("hardware.npu.msrun.join", False, "always waits"),
    "hardware.*.msrun.tee": ("hardware.npu.msrun.tee", True, "keeps each rank's log"),
    "experiments.*.engine": ("experiments.small.engine", "mindspeed-llm", "write train.engine"),
    "experiments.*.export": ("experiments.small.export", {"layout": {}}, "any layout"),
    "experiments.*.train.finetune": ("experiments.small.train.finetune", True, "a later one the whole state"),
    "experiments.*.train.no_load_optim": ("experiments.small.train.no_load_optim", True, "the whole state"),
    "experiments.*.train.num_layers_per_virtual_pipeline_stage": (
        "experiments.small.train.num_layers_per_virtual_pipeline_stage",
        2,
        "write layout.pipeline_parallel_size",
    ),
}


@pytest.mark.parametrize("key", sorted({*config_faults.REMOVED, *REMOVED}))
def test_a_removed_key_names_what_to_write_instead(key):
    path, value, words = REMOVED[key]
    with pytest.raises(Problem) as caught:
        config.load(changed(path, value))
    (line,) = str(caught.value).splitlines()[1:]
    if path.endswith(".mine"):
        path = key.replace("*", "mine")
    assert line.strip() == f"{path}: no longer a key; {config_faults.REMOVED[key]}" and words in line


def test_all_faults_are_listed_at_once():
    raw = changed("experiments.small.seq_len", 9)
    raw["datasets"]["sums"]["source"]["generator"]["seed"] = "five"
    with pytest.raises(Problem) as caught:
        config.load(raw)
    assert "seq_len" in str(caught.value) and "'five'" in str(caught.value)


@pytest.mark.slow
def test_a_fault_stops_snakemake_before_any_job(tmp_path):
    house = House(tmp_path, ROOT / "config" / "config.yaml")
    with house.replaced("experiment.yaml", "prompt_type: qwen_math_r1", "prompt: qwen_math_r1"):
        run = house.snakemake("--cores", "1", own=True)
    assert run.returncode != 0
    assert "experiments.embedded.prompt: unknown key" in run.stdout + run.stderr
    assert not (tmp_path / "resources").exists()


def test_a_second_file_plans_nothing_of_the_default(tmp_path):
    house = House(tmp_path, FIXTURES / "workflow/small.yaml")
    dry = house.snakemake("--dry-run", "--printshellcmds")
    assert "sums" in dry.stdout + dry.stderr
    assert "embedded" not in dry.stdout + dry.stderr


def test_run_selects_experiments():
    raw = copy.deepcopy(SMALL)
    raw["experiments"]["other"] = copy.deepcopy(raw["experiments"]["small"])
    assert set(config.load(raw).experiments) == {"small", "other"}
    assert set(config.load({**raw, "run": ["other"]}).experiments) == {"other"}


def test_every_fault_of_a_plan_is_printed_at_once_and_stops_neither_unlock_nor_lint(tmp_path):
    """What the checks find, what MindSpeed-LLM would refuse, and what Snakemake was not given."""
    house = House(tmp_path, FIXTURES / "workflow/small.yaml")
    raw = changed("experiments.small.convert", {"engine": "mindspeed-llm"})
    raw["experiments"]["small"]["train"]["min_lr"] = 1.0
    raw["experiments"]["small"]["hardware"] = "npu"
    raw["hardware"] = {"npu": {"device": "Ascend", "memory_gib": 60, "npus_per_node": 2}}
    house.configfile.write_text(yaml.safe_dump(raw))
    dry = house.snakemake("--dry-run", "--resources", "npu=0")
    said = dry.stdout + dry.stderr
    assert dry.returncode != 0 and "4 errors" in said, said
    for words in ("error[min-lr]", "error[mindspeed-home]", "error[npu-limit] experiments.small (train)"):
        assert words in said
    assert house.snakemake("--unlock", "--resources", "npu=0").returncode == 0


@pytest.mark.slow
def test_the_readmes_tree_shows_the_rules_of_the_default_experiment(tmp_path):
    house = House(tmp_path, ROOT / "config" / "config.yaml")
    command = [
        sys.executable,
        str(tmp_path / "workflow/scripts/report_rulegraph.py"),
        "--snakefile",
        "Snakefile",
    ]
    command += ["--configfile", str(house.configfile), "--output", "graph.dot"]
    command += [
        "--target",
        *(f"results/experiments/embedded/{name}.json" for name in ("checks", "comparison", "hf.proof")),
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    drawn = re.findall(r'"(\w+)" -> "(\w+)"', (tmp_path / "graph.dot").read_text())
    assert drawn == sorted(drawn)
    for text in BOTH:
        shown = re.findall(r"\w+_\w*[*]?|\btrain\b", tree(text), re.ASCII)
        assert not [rule for edge in drawn for rule in edge if not any(fnmatch(rule, one) for one in shown)]
