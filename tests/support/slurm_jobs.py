"""Jobs and experiments for the tests on a real Slurm: their lines, and what they leave."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time

import yaml
from places import ROOT, SUPPORT

from distillery import live

SLURM = SUPPORT / "slurm"
SNAKEMAKE = [sys.executable, SLURM / "impatient.py"]
OFTEN = ["--latency-wait", "5", "--seconds-between-status-checks", "1"]
TIMEOUT = 900  # for what has hung: a busy machine is no failure
STEPS, KILLED_AFTER = 120, 20  # of the experiment's training
# the jobs before the training are one submission, and those after the answers another
PREPARE = [
    "fetch_generated_shard",
    "fetch_generated_problems",
    "fetch_generated_model",
    "fetch_digest",
    "tokenize_shard",
    "tokenize_merge",
]
PREPARE += ["plan_sources", "convert_hf_to_mcore", "convert_prove_round_trip"]
# jobs on devices stay alone: Snakemake cannot add up their textual resources
JUDGE = ["evaluate_base", "evaluate_tuned", "evaluate_compare", "plan_outcome", "report_page"]


def line(folder, profile, jobs, *flags):
    """Snakemake on the test jobs under a profile of the project, in `folder`."""
    config = [
        f"launch={ROOT / 'workflow/scripts/launch.py'}",
        f"worker={SLURM / 'worker.py'}",
        f"jobs={json.dumps(jobs)}",
    ]
    shutil.copytree(ROOT / "profiles", folder / "profiles", dirs_exist_ok=True)
    words = [*SNAKEMAKE, "--snakefile", SLURM / "Snakefile"]
    words += ["--profile", f"profiles/{profile}", *OFTEN, *flags, "--config", *config]
    return list(map(str, words))


def snakemake(cluster, folder, *asked):
    """(exit status, output) of `line`."""
    done = subprocess.run(
        line(folder, *asked), cwd=folder, env=cluster, capture_output=True, text=True, timeout=TIMEOUT
    )
    return done.returncode, done.stdout + done.stderr


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
    """Two records of the same node at the same time."""
    return one["node"] == other["node"] and one["began"] < other["ended"] and other["began"] < one["ended"]


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


def experiment_line(folder):
    """Snakemake on that experiment under profiles/slurm."""
    groups = [f"{rule}=prepare" for rule in PREPARE] + [f"{rule}=judge" for rule in JUDGE]
    words = [*SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--directory", folder]
    words += ["--profile", ROOT / "profiles/slurm", *OFTEN]
    words += ["--configfile", folder / "cluster.yaml", "--groups", *groups]
    words += ["--default-resources", "mem_mb=1000", "runtime=20"]
    return list(map(str, words))


SERVED = "generate_tuned_answers_served"


def served_line(folder):
    """Snakemake on the answers of that experiment alone, by a stand-in for vLLM, half a second each; it tells `folder/seen`."""
    config = yaml.safe_load((folder / "cluster.yaml").read_text())
    (folder / "seen").mkdir()
    told = {"PYTHONPATH": str(SUPPORT / "standin_vllm"), "STANDIN_LOG": str(folder / "seen")}
    config["hardware"] = {"serving": {"threads": 1, "gres": "npu", "runtime": 20, "environment": told}}
    server = {"engine": "vllm", "python": sys.executable, "concurrency": 1, "args": {"seconds": 0.5}}
    config["servers"] = {"mine": server}
    embedded = config["experiments"]["embedded"]
    embedded["hardware"], embedded["generate"]["engine"] = "serving", "mine"
    (folder / "served.yaml").write_text(yaml.safe_dump(config))
    words = [*SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--directory", folder]
    words += ["--profile", ROOT / "profiles/slurm", *OFTEN, "--configfile", folder / "served.yaml"]
    words += ["--rerun-triggers", "mtime", "--forcerun", SERVED, "--until", SERVED]
    words += ["--default-resources", "mem_mb=1000", "runtime=20"]
    return list(map(str, words))


def running_job(folder, cluster, nodes):
    """The number of the one job of this folder that Slurm runs on so many nodes."""
    asked = ["squeue", "-h", "-t", "R", "-o", "%D %A %Z"]
    shown = subprocess.run(asked, env=cluster, capture_output=True, text=True, check=True).stdout
    (job,) = [
        job
        for count, job, where in map(str.split, shown.splitlines())
        if count == str(nodes) and where == str(folder)
    ]
    return job


def kill_amid_answers(folder, cluster):
    """Run `served_line` to its end; Slurm kills all processes of its job once, when three answers are there.

    Returns:
        what each server that was started said of itself.
    """
    with (folder / "served").open("w") as output:
        process = subprocess.Popen(served_line(folder), env=cluster, stdout=output, stderr=output)
    journal = folder / "results/experiments/embedded/.tuned.jsonl.journal"
    while (
        not journal.is_file() or journal.read_bytes().count(b"\n") < 4
    ):  # the first says what they are answers to
        assert process.poll() is None, (folder / "served").read_text()
        time.sleep(0.05)
    job = running_job(folder, cluster, 1)
    subprocess.run(["scancel", "--signal=KILL", "--full", job], env=cluster, check=True)
    assert process.wait(timeout=TIMEOUT) == 0, (folder / "served").read_text()
    return [json.loads(one.read_text()) for one in (folder / "seen").glob("*.json")]


def sbatch(folder, environment, nodes, words):
    """`sbatch --wait` of a command with two NPUs on each node: its first line ends with the job's number."""
    asking = ["sbatch", "--wait", f"--nodes={nodes}", "--gres=npu:2", "--mem=1000", "--output=log.%j"]
    return subprocess.Popen(
        [*asking, "--wrap", shlex.join(words)], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )


def kill_amid_training(process, folder, cluster):
    """What Slurm does at a time limit, at a known step: SIGTERM to every process of the job's steps.

    What the job shows of itself before that, which has passed msrun and Slurm, is kept in `folder/shown`.
    """
    while process.poll() is None:
        if shown := live.read(folder / "logs/embedded/train.log").get("line"):
            (folder / "shown").write_text(shown)
        steps = sum(
            len(path.read_text().splitlines()) for path in folder.glob("results/**/work/*/metrics.jsonl")
        )
        if steps >= KILLED_AFTER:
            job = running_job(folder, cluster, 2)
            subprocess.run(["scancel", "--signal=TERM", job], env=cluster, check=True)
            return
        time.sleep(0.2)
