"""The plan command, its hook in Snakemake, and sweeps."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import forked
import pytest
import yaml
from commands import here
from guide_scripts import write_guide
from places import ROOT

from distillery import config
from distillery.configure import key_tables
from distillery.launch.mindspeed import accepted_flags as reference
from distillery.planning import planned_jobs
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem

TINY = yaml.safe_load((ROOT / "config/config.yaml").read_text())

OUTPUT = """\
[Tue Nov 24 02:22:59 2026]
rule make_shard:
    output: a.parquet
    jobid: 19
    wildcards: dataset=d, index=0
    resources: tmpdir=/tmp
Shell command: make a.parquet

[Tue Nov 24 02:22:59 2026]
localrule digest:
    input: a.parquet
    output: a.sha256
    wildcards: dataset=d
Shell command: digest a.parquet
[Tue Nov 24 02:22:59 2026]
rule all:
    input: a.sha256
Shell command: None
Job stats:
job    count
"""


def test_jobs_are_read_from_a_dry_run():
    shard, digest, everything = planned_jobs.parse(OUTPUT)
    assert (shard.rule, shard.outputs, shard.command) == ("make_shard", ("a.parquet",), "make a.parquet")
    assert (digest.inputs, digest.wildcards) == (("a.parquet",), "dataset=d")
    assert everything.command == ""
    assert planned_jobs.needed([shard, digest], ["a.sha256"]) == {shard.key, digest.key}


def test_a_sweep_is_one_experiment_for_each_combination_and_shares_its_prefix():
    raw = copy.deepcopy(TINY)
    raw["experiments"]["embedded"]["sweep"] = {"train.lr": [0.001, 0.003], "train.seed": [1, 2]}
    loaded = config.load(raw)
    assert list(loaded.experiments) == [
        "embedded-lr0.001-seed1",
        "embedded-lr0.001-seed2",
        "embedded-lr0.003-seed1",
        "embedded-lr0.003-seed2",
    ]
    assert loaded.sweeps == {"embedded": tuple(loaded.experiments)}
    assert {one.train.flags["lr"] for one in loaded.experiments.values()} == {0.001, 0.003}
    for shared in ("tokenize", "convert", "base_generation"):
        assert len({getattr(one, shared).name for one in loaded.experiments.values()}) == 1
    assert list(config.load({**raw, "run": ["embedded-lr0.001-seed2"]}).experiments) == [
        "embedded-lr0.001-seed2"
    ]
    assert len(config.load({**raw, "run": ["embedded"]}).experiments) == 4
    with pytest.raises(Problem, match="run.0"):
        config.load({**raw, "run": ["embedded-lr9"]})


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"train.learning": [1.0]}, "embedded-learning1.train.learning: unknown key"),
        ({"train.lr": [0.1, "x"]}, "train.lr: found 'x'"),
        ({"train.lr": [0.1, 0.1]}, "gives 'embedded-lr0.1' twice"),
    ],
)
def test_a_sweep_over_a_wrong_key_or_value_is_a_fault(sweep, words):
    raw = copy.deepcopy(TINY)
    raw["experiments"]["embedded"]["sweep"] = sweep
    with pytest.raises(Problem) as caught:
        config.load(raw)
    assert words in str(caught.value)


def snakemake(*words: object) -> subprocess.CompletedProcess:
    return forked.run(forked.SNAKEMAKE, *words, cwd=ROOT)


def test_plan_stops_at_errors_with_the_lines_as_json(tmp_path):
    answer = here("plan.py", "--configfile", write_guide(tmp_path), "--json")
    assert answer.returncode == 1
    found = json.loads(answer.stdout)["findings"]
    assert len({one["id"] for one in found}) >= 12
    assert [one["severity"] for one in found] == sorted(one["severity"] for one in found)  # errors first


@pytest.mark.slow
def test_snakemake_starts_nothing_where_the_plan_has_errors(tmp_path):
    configured = ("-d", tmp_path, "--configfile", write_guide(tmp_path))
    for mode in (["--dry-run"], ["--cores", "1"]):
        answer = snakemake(*configured, *mode)
        assert answer.returncode != 0 and "no job was started" in answer.stdout + answer.stderr
        lines = [line for line in answer.stderr.splitlines() if line.startswith(("error[", "warning["))]
        assert len({line.partition("]")[0].partition("[")[2] for line in lines}) >= 12
        assert not (tmp_path / "resources").exists() and not (tmp_path / "logs").exists()
    answer = snakemake(*configured, "--unlock")
    assert "no job was started" not in answer.stdout + answer.stderr


def test_the_reference_of_keys_is_the_schemas():
    """`python workflow/scripts/plan_config_reference.py --readme config/README.md` brings it up to date."""
    text = (ROOT / "config/README.md").read_text()
    found = text.partition(key_tables.BEGIN)[2].partition(key_tables.END)[0].strip()
    assert found == key_tables.table().strip()


def test_host_checks_stop_runs_but_no_dry_run(tmp_path):
    raw = copy.deepcopy(TINY)
    raw["hardware"] = {"tight": {"host_memory_gib": 0.1}}
    raw["experiments"]["embedded"]["hardware"] = "tight"
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
    common = ("-d", tmp_path, "--configfile", tmp_path / "c.yaml")
    assert snakemake(*common, "--dry-run").returncode == 0
    answer = snakemake(*common, "--cores", "1")
    assert answer.returncode != 0 and "error[host-memory]" in answer.stderr
    assert not (tmp_path / "resources").exists()


@pytest.mark.parametrize("name", ["qwen2.5-math-7b", "openr1-qwen-7b"])
def test_seven_billion_parameters_plan_clean_without_npu_or_downloads(tmp_path, name):
    (tmp_path / "config").symlink_to(ROOT / "config")  # locks are named relative to the working directory
    answer = snakemake(
        *("-d", tmp_path, "--configfile", ROOT / f"config/{name}.yaml"),
        *("--dry-run", "--printshellcmds"),
    )
    text = answer.stdout + answer.stderr
    assert answer.returncode == 0, text
    assert "error[" not in text and "warning[" not in text
    jobs = {job.rule: job.command for job in planned_jobs.parse(text)}
    assert "--workers 8 --npus 8" in jobs["train_mindspeed"]
    assert "--max-position-embeddings" in jobs["fetch_rotated_model"]
    assert f"--save-dir results/experiments/{name}/hf" in jobs["convert_mcore_to_hf"]
    assert not (tmp_path / "resources").exists()


@pytest.mark.slow
def test_the_plan_command_counts_jobs_and_shares_them_in_a_sweep(tmp_path):
    raw = copy.deepcopy(TINY)
    raw["experiments"]["embedded"]["sweep"] = {"train.lr": [0.001, 0.003]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(raw))
    answer = here("plan.py", "--configfile", "c.yaml", "--json", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    plan = json.loads(answer.stdout)
    counts = plan["counts"]
    assert counts["cached"] == 0 and counts["to_run"] == counts["jobs"] == len(plan["jobs"])
    # two experiments of the same size, whose jobs overlap in the shared ones
    assert counts["jobs"] == sum(counts["per_experiment"].values()) - counts["shared"]
    assert counts["shared"] > 15
    assert all(job["command"] for job in plan["jobs"])
    assert list(plan["experiments"]) == ["embedded-lr0.001", "embedded-lr0.003"]
    steps = {step["name"]: step for step in plan["experiments"]["embedded-lr0.001"]["steps"]}
    assert steps["train"]["seconds"] > 0 and steps["train"]["device_memory"]["total"] > 0
    assert (steps["tokenize"]["jobs"], steps["tokenize"]["to_run"]) == (3, 3)
    disk = plan["experiments"]["embedded-lr0.001"]["disk"]
    assert disk["now"] == 0 and disk["missing"] == disk["end"] > 0
    # each job has its part of its step, and knows who needs it
    jobs = [job for job in plan["jobs"] if job["rule"] == "tokenize_shard"]
    assert [job["tokens"] for job in jobs] == [steps["tokenize"]["tokens"] / 3] * 3
    assert all(job["step"] == "tokenize" and len(job["experiments"]) == 2 for job in jobs)
    (first, second) = (job for job in plan["jobs"] if job["rule"] == "train")
    assert first["experiments"] != second["experiments"] and first["seconds"] == steps["train"]["seconds"]
    assert first["host_bytes"] > 0 and first["devices"] == 1 and first["msrun"] is None


@pytest.mark.slow
def test_the_plan_of_the_guides_experiment_prints_msruns_lines_and_lacking_disk(tmp_path):
    """What README says `make plan` does, on a machine without an NPU."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    answer = here("plan.py", "--configfile", "config/qwen2.5-math-7b.yaml", cwd=tmp_path)
    assert answer.returncode == 0 and "error[" not in answer.stdout, answer.stdout + answer.stderr
    train, *_ = (
        line for line in answer.stdout.splitlines() if "bin/msrun" in line and "posttrain_gpt" in line
    )
    msrun, *words = shlex.split(train)
    assert msrun == "/opt/mindspeed-llm/bin/msrun"
    assert {"--worker_num=8", "--local_worker_num=8", "--master_port=6000", "--join=True"} <= set(words)
    assert "/opt/MindSpeed-Core-MS/MindSpeed-LLM/posttrain_gpt.py" in words
    flags = words[words.index("/opt/MindSpeed-Core-MS/MindSpeed-LLM/posttrain_gpt.py") + 1 :]
    assert reference.faults("posttrain_gpt.py", flags) == []
    # the shape is config.json's, under the rope that is trained
    assert flags[flags.index("--num-layers") + 1] == "28"
    assert flags[flags.index("--rotary-base") + 1] == "40000"
    assert (
        flags[flags.index("--save") + 1] == f"{tmp_path}/results/experiments/qwen2.5-math-7b/train/work/KEY"
    )
    answers = [line for line in answer.stdout.splitlines() if "bin/msrun" in line and "inference.py" in line]
    assert len(answers) == 2 and all("--worker_num=8" in line for line in answers)
    table = [line.split() for line in answer.stdout.splitlines()]
    assert ["generate", "tuned", "mindspore", "1", "of", "1", "8"] in [cells[:7] for cells in table]
    if shutil.disk_usage(tmp_path).free < 480e9:
        assert "warning[disk]" in answer.stdout and "to be written 486 GB" in answer.stdout


def test_msruns_line_is_read_from_a_jobs_command():
    seven = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    setup = gather(config.load(seven), "qwen2.5-math-7b")
    launch = "--npus 2 --log-dir logs/a --directory /opt/ML --python /opt/ms/bin/python --log logs/a.log"
    asked = f"python workflow/scripts/generate_mindspeed.py --load W --tokenizer-name-or-path M --output A {launch}"
    words = shlex.split(planned_jobs.msrun(f"{asked} --workers 2 -- --task greedy", setup))
    assert words[0] == "/opt/ms/bin/msrun" and "/opt/ML/inference.py" in words
    assert words[words.index("--load") + 1] == str(Path("W").absolute())
    assert words[words.index("--rotary-base") + 1] == "40000"  # of the weights that training made
    # one process needs no msrun, and a model that nobody knows has no flags yet
    assert planned_jobs.msrun(f"{asked} --workers 1 -- --task greedy", setup) is None
    assert planned_jobs.msrun(f"{asked} --workers 2 -- --task greedy", replace(setup, known=None)) is None
    assert planned_jobs.msrun("python workflow/scripts/score.py --output s", setup) is None


@pytest.mark.slow
def test_planning_loads_nothing_heavy(tmp_path):
    """Snakemake reads the rules at every start and once more for each job: what only jobs need stays out."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snakemake", "-d", tmp_path, "-n", "-q"]
        + ["--configfile", ROOT / "config/config.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    loaded = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines() if "| " in line}
    assert "distillery.planning.estimate" in loaded
    heavy = {"mindspore", "pandas", "pyarrow", "transformers", "matplotlib", "isal", "safetensors"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    assert not {name for name in loaded if name.startswith("distillery.convert.")}
