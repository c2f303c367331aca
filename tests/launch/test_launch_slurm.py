"""The profiles on a real Slurm of two nodes with eight fake NPUs each, started as a new user would.

Needs root and Slurm's packages: apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge iproute2
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from itertools import combinations
from pathlib import Path

import pytest
from alive import gone
from places import ROOT
from slurm_jobs import (
    KILLED_AFTER,
    SLURM,
    SNAKEMAKE,
    STEPS,
    TIMEOUT,
    experiment,
    experiment_line,
    kill_amid_answers,
    kill_amid_training,
    line,
    overlapping,
    records,
    sbatch,
    snakemake,
)
from standin_train import command, prepare, wait_for_steps, whole

from distillery import live

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
    subprocess.run([SLURM / "down.sh", state], check=True, timeout=TIMEOUT)


@pytest.fixture(scope="module")
def submitted(cluster, tmp_path_factory):
    """(folder, Snakemake that watches it): eight jobs, one of two launches, one too long for its minute; just begun."""
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
    told = [node.communicate(timeout=TIMEOUT)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0] and "step 30, loss 0.0333" in told[0], told
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


@pytest.mark.whole
def test_mindspeeds_training_on_two_nodes_goes_on_with_fewer_replicas(cluster, tmp_path):
    """Under Slurm: interrupted with DP2 over two nodes, finished with DP1 on one."""
    prepare(tmp_path)
    environment = cluster | {live.VARIABLE: str(live.beside(tmp_path / "train.log"))}
    del environment["PYTHONPATH"]

    def submitted(nodes, **variables):
        launch = ["--npus", "2"] + (["--nodes", "2"] if nodes > 1 else [])
        return sbatch(tmp_path, {**environment, **variables}, nodes, command(*launch, flags_first=True))

    with submitted(2, **SLOW) as first:
        number = first.stdout.readline().split()[-1]
        wait_for_steps(tmp_path, 6, lambda: first.poll() is None)
        said = live.read(tmp_path / "train.log")["line"]  # as the last rank, on the other node
        assert re.match(r"[1-9]/30 steps  loss \d\.\d{4}  \d+ tokens/s", said), said
        subprocess.run(["scancel", "--signal=TERM", number], env=environment, check=True)
        first.wait(timeout=TIMEOUT)
    assert first.returncode == 3, (tmp_path / f"log.{number}").read_text()
    assert not (tmp_path / "out/done.json").exists()
    with submitted(1) as second:
        number = second.stdout.readline().split()[-1]
        assert second.wait(timeout=TIMEOUT) == 0, (tmp_path / f"log.{number}").read_text()
    whole(tmp_path)


@pytest.fixture(scope="module")
def begun(cluster, tmp_path_factory):
    """(folder, Snakemake that watches it, thread that will kill it once amid its training): the experiment, just begun."""
    folder = tmp_path_factory.mktemp("experiment")
    experiment(folder)
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(experiment_line(folder), env=cluster, stdout=output, stderr=output)
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
    words = [sys.executable, "-m", "snakemake", "finetune", "--snakefile", ROOT / "Snakefile", "--cores", "2"]
    words += ["--directory", alone, "--configfile", there / "here.yaml", "--rerun-triggers", "mtime"]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return alone


def test_the_whole_experiment_runs_on_two_nodes(there):
    assert (there / "results/experiments/embedded/report.html").exists()
    logs = sorted((there / "logs/embedded/msrun_train").glob("msrun_*.log"))
    assert [log.name for log in logs] == ["msrun_0.log", "msrun_1.log"]
    assert re.search(rf"\b\d+/{STEPS} steps  loss \d\.\d+", (there / "shown").read_text())


def test_a_kill_amid_training_ends_with_the_weights_of_an_uninterrupted_run(there, here):
    killed, straight = (
        json.loads((one / "results/experiments/embedded/train/done.json").read_text())
        for one in (there, here)
    )
    resumed = (there / "logs/embedded/msrun_train/worker_0.log").read_text()
    assert KILLED_AFTER <= int(re.search(r"resuming after step (\d+)", resumed)[1]) < STEPS
    assert killed["payload_digest"] == straight["payload_digest"]
    assert killed["loss"] == straight["loss"]


@pytest.mark.usefixtures("here")
def test_a_served_job_that_is_killed_takes_its_server_along_and_the_next_attempt_goes_on(there, cluster):
    servers = kill_amid_answers(there, cluster)
    assert servers and {one["devices"] for one in servers} <= set("01234567")
    assert gone([pid for one in servers for pid in one["pids"]])
    log = (there / "logs/embedded/generate_tuned.log").read_text()
    assert 3 <= int(re.search(r"continuing after (\d+) of 8", log)[1]) < 8
    assert (there / "results/experiments/embedded/tuned.jsonl").read_text().count("\n") == 8
