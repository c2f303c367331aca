"""The profiles on a real Slurm of two nodes with eight fake NPUs each, started as a new user would.

Needs root and Slurm's packages: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge iproute2
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
SLURM = Path(__file__).parent / "slurm"
PLUGINS = Path(sys.prefix) / "clusters"  # make setup-slurm

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running Slurm; the environment in which Snakemake is started."""
    state = tmp_path_factory.mktemp("slurm")
    assert shutil.which("slurmctld"), __doc__
    assert PLUGINS.is_dir(), "run `make setup-slurm` first"
    subprocess.run([SLURM / "up.sh", state], check=True, timeout=60, stdout=subprocess.DEVNULL)
    yield {**os.environ, "SLURM_CONF": str(state / "slurm.conf"), "PYTHONPATH": str(PLUGINS)}
    subprocess.run([SLURM / "down.sh", state], check=True, timeout=60)


def snakemake(cluster, tmp_path, profile, jobs, *flags):
    """Run the test jobs under a profile of the project."""
    config = [
        f"launch={ROOT / 'workflow/scripts/launch.py'}",
        f"worker={SLURM / 'worker.py'}",
        f"jobs={json.dumps(jobs)}",
    ]
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles", dirs_exist_ok=True)
    words = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        SLURM / "Snakefile",
        "--profile",
        f"profiles/{profile}",
    ]
    words += ["--latency-wait", "5", *flags, "--config", *config]
    done = subprocess.run(
        list(map(str, words)), cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=240
    )
    return done.returncode, done.stdout + done.stderr


STEPS, KILLED_AFTER = 120, 20


def experiment(folder):
    """The embedded experiment made small, for two ranks: one on each node, or both here."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["datasets"]["arithmetic"]["source"]["generator"].update(shards=2, rows_per_shard=300)
    config["models"]["tiny-qwen2"]["random"]["tokenizer"]["rows"] = 300
    config["problem_sets"]["arithmetic-heldout"]["generator"]["rows"] = 8
    shape = {"threads": 1, "gres": "npu", "runtime": 20, "msrun": {"bind_core": False}}
    config["hardware"] = {"cluster": {**shape, "nodes": 2}, "here": {**shape, "npus_per_node": 2}}
    embedded = config["experiments"]["embedded"]
    embedded["train"].update(train_iters=STEPS, save_interval=100, global_batch_size=16)
    embedded["generate"]["max_new_tokens"] = 16
    for machine in ("cluster", "here"):
        experiments = {"embedded": {**embedded, "hardware": machine}}
        (folder / f"{machine}.yaml").write_text(yaml.safe_dump({**config, "experiments": experiments}))


def records(tmp_path):
    """What the workers wrote down, by their logs' folder and rank."""
    found = {}
    for log in sorted(tmp_path.glob("logs/*/worker_*.log")):
        last = log.read_text().splitlines()[-1]
        found[f"{log.parent.name}/{log.stem}"] = {
            **json.loads(last),
            "devices": json.loads(last)["devices"].split(","),
        }
    return found


def overlapping(one, other):
    return one["node"] == other["node"] and one["began"] < other["ended"] and other["began"] < one["ended"]


QUICK = ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "1"]


@pytest.fixture(scope="module")
def finished(cluster, tmp_path_factory):
    """Eight jobs under profiles/slurm, one of which does not fit into its minute."""
    folder = tmp_path_factory.mktemp("jobs")
    jobs = ["four1", "four2", "four3", "eight1", "eight2", "both1", "limited1"]
    code, output = snakemake(cluster, folder, "slurm", jobs, *QUICK)
    assert code == 0, output
    return folder


def test_npu_jobs_queue_and_never_share_devices(finished):
    found = records(finished)
    counts = {name.partition("/")[0]: len(one["devices"]) for name, one in found.items()}
    assert counts == {"four1": 4, "four2": 4, "four3": 4, "eight1": 8, "eight2": 8, "both1": 2, "limited1": 1}
    for one, other in combinations(found, 2):
        if one.partition("/")[0] != other.partition("/")[0] and overlapping(found[one], found[other]):
            assert not set(found[one]["devices"]) & set(found[other]["devices"]), (one, other)


def test_ranks_of_two_nodes_stand_on_their_nodes(finished):
    found = records(finished)
    assert [found[f"both1/worker_{rank}"]["node"] for rank in range(4)] == ["n1", "n1", "n2", "n2"]


def test_the_time_limit_interrupts_and_the_next_attempt_goes_on(finished):
    saved = int((finished / "state1").read_text())
    assert 20 < saved < 60
    assert f"from {saved}" in (finished / "logs/limited1/worker_0.log").read_text()
    assert "from 0" in (finished / "logs/limited1/previous/worker_0.log").read_text()


def test_the_generic_profile_submits_and_asks(cluster, tmp_path):
    code, output = snakemake(cluster, tmp_path, "cluster-generic", ["four1", "both1"])
    assert code == 0, output
    assert {one["node"] for name, one in records(tmp_path).items() if name.startswith("both")} == {"n1", "n2"}


def test_an_impossible_request_is_refused_by_slurm_with_its_reason(cluster, tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule a:\n    output: 'a'\n    resources: gres='npu:9'\n    shell: 'touch a'\n"
    )
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    words = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", "--retries", "0", *QUICK, "a"]
    done = subprocess.run(words, cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "node configuration is not available" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def trained(cluster, tmp_path_factory):
    """The experiment's folder on the cluster, and that of the same training on this machine, never interrupted."""
    folder = tmp_path_factory.mktemp("experiment")
    experiment(folder)
    groups = [f"{rule}=prepare" for rule in PREPARE] + [f"{rule}=judge" for rule in JUDGE]
    shared = ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    there = [
        "--profile",
        ROOT / "profiles/slurm",
        *QUICK,
        "--latency-wait",
        "5",
        "--configfile",
        folder / "cluster.yaml",
    ]
    words = [sys.executable, "-m", "snakemake", *shared, *there, "--groups", *groups]
    words += ["--default-resources", "mem_mb=1000", "runtime=20"]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            list(map(str, words)), env=cluster, stdout=output, stderr=subprocess.STDOUT
        )
    kill_amid_training(process, folder, cluster)
    assert process.wait(timeout=400) == 0, (folder / "output").read_text()
    alone = tmp_path_factory.mktemp("alone")
    for part in ("resources", "results/datasets", "results/checkpoints"):
        shutil.copytree(folder / part, alone / part, symlinks=True)
    here = [
        "--directory",
        alone,
        "--cores",
        "2",
        "--configfile",
        folder / "here.yaml",
        "--rerun-triggers",
        "mtime",
    ]
    words = [sys.executable, "-m", "snakemake", "finetune", "--snakefile", ROOT / "Snakefile", *here]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, alone


def kill_amid_training(process, folder, cluster):
    """What Slurm does at a time limit, at a known step: SIGTERM to every process of the job's steps."""
    while process.poll() is None:
        steps = sum(
            len(path.read_text().splitlines()) for path in folder.glob("results/**/work/*/metrics.jsonl")
        )
        if steps >= KILLED_AFTER:
            jobs = subprocess.run(
                ["squeue", "-h", "-t", "R", "-o", "%D %A"], env=cluster, capture_output=True, text=True
            )
            (job,) = [line.split()[1] for line in jobs.stdout.splitlines() if line.startswith("2 ")]
            subprocess.run(["scancel", "--signal=TERM", job], env=cluster, check=True)
            return
        time.sleep(0.2)


PREPARE = ["make_shard", "make_problems", "make_model", "digest", "tokenize_shard", "merge_shards"]
PREPARE += ["check_sources", "convert_hf_to_mcore", "prove_round_trip"]
# jobs on devices stay alone: Snakemake cannot add up their textual resources
JUDGE = ["score_base", "score_tuned", "compare", "plan_outcome", "report"]


def test_the_whole_experiment_runs_on_two_nodes(trained):
    folder, _ = trained
    assert (folder / "results/experiments/embedded/report.html").exists()
    logs = sorted((folder / "logs/embedded/msrun_training").glob("msrun_*.log"))
    assert [log.name for log in logs] == ["msrun_0.log", "msrun_1.log"]


def test_a_kill_amid_training_ends_with_the_weights_of_an_uninterrupted_run(trained):
    there, here = (
        json.loads((one / "results/experiments/embedded/train/done.json").read_text()) for one in trained
    )
    resumed = (trained[0] / "logs/embedded/msrun_training/worker_0.log").read_text()
    assert KILLED_AFTER <= int(re.search(r"resuming after step (\d+)", resumed)[1]) < STEPS
    assert there["payload_digest"] == here["payload_digest"]
    assert there["loss"] == here["loss"]
