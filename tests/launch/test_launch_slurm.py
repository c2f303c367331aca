"""The profiles on a real Slurm of two nodes with eight fake NPUs each, started as a new user would.

Needs root and Slurm's packages: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge iproute2
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from places import ROOT, SUPPORT
from standin_train import command, prepare

SLURM = SUPPORT / "slurm"
PLUGINS = Path(sys.prefix) / "clusters"  # make setup-slurm
SNAKEMAKE = [sys.executable, SLURM / "impatient.py"]
OFTEN = ["--latency-wait", "5", "--seconds-between-status-checks", "1"]

pytestmark = pytest.mark.slurm
TIMEOUT = 900  # for what has hung: a busy machine is no failure


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A running Slurm; the environment in which Snakemake is started."""
    state = tmp_path_factory.mktemp("slurm")
    assert shutil.which("slurmctld"), __doc__
    assert PLUGINS.is_dir(), "run `make setup-slurm` first"
    subprocess.run([SLURM / "up.sh", state], check=True, timeout=60, stdout=subprocess.DEVNULL)
    yield {**os.environ, "SLURM_CONF": str(state / "slurm.conf"), "PYTHONPATH": str(PLUGINS)}
    subprocess.run([SLURM / "down.sh", state], check=True, timeout=TIMEOUT)


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
    done = subprocess.run(
        line(folder, *asked), cwd=folder, env=cluster, capture_output=True, text=True, timeout=TIMEOUT
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


@pytest.fixture(scope="module")
def submitted(cluster, tmp_path_factory):
    """Eight jobs under profiles/slurm, one of two launches, one that does not fit into its minute: just begun.

    (their folder, the Snakemake that watches them); what needs no NPU of Slurm's is tested meanwhile
    """
    folder = tmp_path_factory.mktemp("jobs")
    jobs = ["four1", "four2", "four3", "eight1", "eight2", "pair1", "both1", "limited1"]
    with (folder / "output").open("w") as output:
        words = line(folder, "slurm", jobs)
        process = subprocess.Popen(words, cwd=folder, env=cluster, stdout=output, stderr=output)
    yield folder, process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def eight(submitted):
    """The folder of those jobs, all of which have ended well."""
    folder, process = submitted
    assert process.wait(timeout=TIMEOUT) == 0, (folder / "output").read_text()
    return folder


@pytest.mark.usefixtures("submitted", "begun")
def test_an_impossible_request_is_refused_by_slurm_with_its_reason(cluster, tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule a:\n    output: 'a'\n    resources: gres='npu:9'\n    shell: 'touch a'\n"
    )
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    words = [*SNAKEMAKE, "--profile", "profiles/slurm", "--retries", "0", "a"]
    done = subprocess.run(words, cwd=tmp_path, env=cluster, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 1
    assert "node configuration is not available" in done.stdout + done.stderr


def test_a_group_of_jobs_is_one_submission_for_one_node(cluster, tmp_path):
    jobs = [f"short{number}" for number in range(4)]
    code, output = snakemake(cluster, tmp_path, "cluster-generic", jobs, "--groups", "short=shards")
    assert code == 0, output
    shown = subprocess.run(
        ["scontrol", "show", "job", "--oneline"], env=cluster, capture_output=True, text=True, check=True
    ).stdout
    (group,) = [line for line in shown.splitlines() if "JobName=GROUP " in line]
    assert "NumNodes=1 " in group and "NumTasks=1 " in group


# two ranks of the stand-in for MindSpeed-LLM's trainer, slow enough to be stopped amid its thirty steps
SLOW = {"STEP_SECONDS": "1"}


def reached(folder):
    trackers = list(folder.glob("out/work/*/metrics.jsonl"))
    return len(trackers[0].read_text().splitlines()) if trackers else 0


def wait_for_steps(folder, count, alive):
    while reached(folder) < count:
        assert alive()
        time.sleep(0.1)


def whole(folder):
    """One run of thirty steps, whoever made them."""
    done = json.loads((folder / "out/done.json").read_text())
    records = [json.loads(line) for line in (folder / "out" / done["metrics"]).read_text().splitlines()]
    assert [one["iteration"] for one in records] == list(range(1, 31))
    assert done["loss"] == pytest.approx(1 / 30)


def test_mindspeeds_training_on_two_nodes_started_by_hand(cluster, tmp_path):
    """Node 0 prepares, judges and finishes; node 1 holds the loss."""
    prepare(tmp_path)

    def started(node, **variables):
        launch = f"--nodes 2 --node-rank {node} --master-addr 10.213.7.1".split()
        there = ["nsenter", "--net=/run/netns/distillery-n2"] if node else []
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SLURM_")}
        return subprocess.Popen(
            [*there, *command(*launch, flags_first=True, workers=1)],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    nodes = [started(node, **SLOW) for node in (0, 1)]
    wait_for_steps(tmp_path, 3, lambda: all(node.poll() is None for node in nodes))
    for node in nodes:
        node.send_signal(signal.SIGTERM)
    told = [node.communicate(timeout=TIMEOUT) for node in nodes]
    assert [node.returncode for node in nodes] == [3, 3], told
    assert "a newer checkpoint was saved" in told[0][1]
    nodes = [started(node) for node in (0, 1)]
    told = [node.communicate(timeout=TIMEOUT) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], told
    assert "step 30, loss 0.0333" in told[0][0]
    whole(tmp_path)


def test_npu_jobs_queue_and_never_share_devices(eight):
    found = records(eight)
    counts = {name.partition("/")[0]: len(one["devices"]) for name, one in found.items()}
    four = {"four1": 4, "four2": 4, "four3": 4, "pair1a": 2, "pair1b": 2}
    assert counts == {**four, "eight1": 8, "eight2": 8, "both1": 2, "limited1": 1}
    for one, other in combinations(found, 2):
        if one.partition("/")[0] != other.partition("/")[0] and overlapping(found[one], found[other]):
            assert not set(found[one]["devices"]) & set(found[other]["devices"]), (one, other)


def test_ranks_of_two_nodes_stand_on_their_nodes(eight):
    found = records(eight)
    assert [found[f"both1/worker_{rank}"]["node"] for rank in range(4)] == ["n1", "n1", "n2", "n2"]


def test_the_time_limit_interrupts_and_the_next_attempt_goes_on(eight):
    saved = int((eight / "state1").read_text())
    assert 20 < saved < 60
    assert f"from {saved}" in (eight / "logs/limited1/worker_0.log").read_text()
    assert "from 0" in (eight / "logs/limited1/previous/worker_0.log").read_text()


def test_the_generic_profile_submits_and_asks(cluster, tmp_path):
    code, output = snakemake(cluster, tmp_path, "cluster-generic", ["four1", "both1"])
    assert code == 0, output
    assert {one["node"] for name, one in records(tmp_path).items() if name.startswith("both")} == {"n1", "n2"}


def test_mindspeeds_training_on_two_nodes_goes_on_with_fewer_replicas(cluster, tmp_path):
    """Under Slurm: interrupted with DP2 over two nodes, finished with DP1 on one."""
    prepare(tmp_path)
    environment = {key: value for key, value in cluster.items() if key != "PYTHONPATH"}

    def submitted(nodes, **variables):
        launch = ["--npus", "2"] + (["--nodes", "2"] if nodes > 1 else [])
        line = shlex.join(command(*launch, flags_first=True))
        words = ["sbatch", "--wait", f"--nodes={nodes}", "--gres=npu:2", "--mem=1000", "--output=log.%j"]
        return subprocess.Popen(
            [*words, "--wrap", line],
            cwd=tmp_path,
            env={**environment, **variables},
            stdout=subprocess.PIPE,
            text=True,
        )

    with submitted(2, **SLOW) as first:
        number = first.stdout.readline().split()[-1]
        wait_for_steps(tmp_path, 3, lambda: first.poll() is None)
        subprocess.run(["scancel", "--signal=TERM", number], env=environment, check=True)
        first.wait(timeout=TIMEOUT)
    log = (tmp_path / f"log.{number}").read_text()
    assert first.returncode == 3, log
    assert not (tmp_path / "out/done.json").exists()
    with submitted(1) as second:
        number = second.stdout.readline().split()[-1]
        second.wait(timeout=TIMEOUT)
    log = (tmp_path / f"log.{number}").read_text()
    assert second.returncode == 0, log
    whole(tmp_path)


@pytest.fixture(scope="module")
def begun(cluster, tmp_path_factory):
    """The experiment on the cluster: just begun, to be killed once amid its training while other tests run.

    (its folder, the Snakemake that watches it, the thread that kills)
    """
    folder = tmp_path_factory.mktemp("experiment")
    experiment(folder)
    groups = [f"{rule}=prepare" for rule in PREPARE] + [f"{rule}=judge" for rule in JUDGE]
    words = [*SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--directory", folder]
    words += ["--profile", ROOT / "profiles/slurm", *OFTEN]
    words += ["--configfile", folder / "cluster.yaml", "--groups", *groups]
    words += ["--default-resources", "mem_mb=1000", "runtime=20"]
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            list(map(str, words)), env=cluster, stdout=output, stderr=subprocess.STDOUT
        )
    killer = threading.Thread(target=kill_amid_training, args=(process, folder, cluster))
    killer.start()
    yield folder, process, killer
    process.kill()
    process.wait()
    killer.join()


@pytest.fixture(scope="module")
def there(begun):
    """The folder of that experiment, which has ended well."""
    folder, process, killer = begun
    assert process.wait(timeout=TIMEOUT) == 0, (folder / "output").read_text()
    killer.join()
    return folder


@pytest.fixture(scope="module")
def here(there, tmp_path_factory):
    """The folder of the same training on this machine, never interrupted."""
    alone = tmp_path_factory.mktemp("alone")
    for part in ("resources", "results/datasets", "results/checkpoints"):
        shutil.copytree(there / part, alone / part, symlinks=True)
    words = [sys.executable, "-m", "snakemake", "finetune", "--snakefile", ROOT / "Snakefile"]
    words += ["--directory", alone, "--cores", "2", "--configfile", there / "here.yaml"]
    words += ["--rerun-triggers", "mtime"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return alone


def kill_amid_training(process, folder, cluster):
    """What Slurm does at a time limit, at a known step: SIGTERM to every process of the job's steps."""
    while process.poll() is None:
        steps = sum(
            len(path.read_text().splitlines()) for path in folder.glob("results/**/work/*/metrics.jsonl")
        )
        if steps >= KILLED_AFTER:
            jobs = subprocess.run(
                ["squeue", "-h", "-t", "R", "-o", "%D %A %Z"], env=cluster, capture_output=True, text=True
            )
            (job,) = [
                job
                for nodes, job, where in map(str.split, jobs.stdout.splitlines())
                if nodes == "2" and where == str(folder)
            ]
            subprocess.run(["scancel", "--signal=TERM", job], env=cluster, check=True)
            return
        time.sleep(0.2)


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


def test_the_whole_experiment_runs_on_two_nodes(there):
    assert (there / "results/experiments/embedded/report.html").exists()
    logs = sorted((there / "logs/embedded/msrun_train").glob("msrun_*.log"))
    assert [log.name for log in logs] == ["msrun_0.log", "msrun_1.log"]


def test_a_kill_amid_training_ends_with_the_weights_of_an_uninterrupted_run(there, here):
    killed, whole = (
        json.loads((one / "results/experiments/embedded/train/done.json").read_text())
        for one in (there, here)
    )
    resumed = (there / "logs/embedded/msrun_train/worker_0.log").read_text()
    assert KILLED_AFTER <= int(re.search(r"resuming after step (\d+)", resumed)[1]) < STEPS
    assert killed["payload_digest"] == whole["payload_digest"]
    assert killed["loss"] == whole["loss"]
