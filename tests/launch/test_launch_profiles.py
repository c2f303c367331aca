"""The generic profile as it is and the README's templates for Donau and Volcano: run with commands that imitate theirs."""

import json
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path

import forked
import pytest
import yaml
from places import ROOT, SUPPORT

SCHEDULERS = SUPPORT / "schedulers"
PLUGINS = Path(sys.prefix) / "clusters"  # make setup-slurm
SNAKEFILE = """
rule all:
    input: "big", "cpu", expand("small{number}", number=range(4))
rule train_big:
    output: "big"
    threads: 3
    resources: npu=8, npus_per_node=8, gres="npu:910b:8", nodes=1, runtime=90, mem_mb=200000, launch="--workers 8"
    shell: "touch {output}"
rule train_on_cpu:
    output: "cpu"
    resources: npu=0, npus_per_node=0, gres="", nodes=1
    shell: "touch {output}"
rule make_small:
    output: "small{number}"
    shell: "touch {output}"
rule bad:
    output: "bad"
    shell: "exit 3"
"""


def template(title):
    """The keys that the README's section gives for a copy of cluster-generic/config.yaml; none for Slurm, as it stands."""
    if title == "Slurm":
        return {}
    text = (ROOT / "profiles/README.md").read_text()
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]
    return yaml.safe_load(textwrap.dedent("\n".join(re.findall(r"^    .*", section, re.MULTILINE))))


def run(folder, title, *targets):
    """Snakemake under that template; the jobs that the scheduler was given."""
    assert PLUGINS.is_dir(), "run `make setup-slurm` first"
    shutil.copytree(ROOT / "profiles", folder / "profiles")
    profile = folder / "profiles/cluster-generic/config.yaml"
    profile.write_text(yaml.safe_dump(yaml.safe_load(profile.read_text()) | template(title)))
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "state").mkdir()
    environment = {
        **os.environ,
        forked.SUBMITTED: "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(SCHEDULERS), os.environ["PATH"]]),
        "PYTHONPATH": str(PLUGINS),
        "SCHEDULER_STATE": str(folder / "state"),
        "IMAGE": "registry.example/distillery:1",
        "CLAIM": "distillery",
    }
    words = ["--profile", "profiles/cluster-generic", "--retries", "0"]
    words += ["--groups", "make_small=shards", "--seconds-between-status-checks", "1", "--latency-wait", "5"]
    done = forked.run(forked.SNAKEMAKE, *words, "--", *targets, cwd=folder, env=environment, timeout=120)
    jobs = [json.loads(path.read_text()) for path in sorted((folder / "state").iterdir())]
    return done, jobs


@pytest.mark.slow
def test_slurm_is_asked_for_npus_as_the_cluster_names_them(tmp_path):
    done, jobs = run(tmp_path, "Slurm", "all")
    assert done.returncode == 0, done.stderr
    asked = {job["job_name"]: (job["nodes"], job["gres"], job["cpus_per_task"], job["time"]) for job in jobs}
    # jobs without NPUs name no resource that the cluster may not have, alone or in a group
    assert asked == {
        "train_big": ("1", "npu:910b:8", "3", "90"),
        "train_on_cpu": ("1", None, "1", "60"),
        "GROUP": ("1", None, "4", "60"),
    }


@pytest.mark.slow
def test_donau_gets_what_the_jobs_need(tmp_path):
    done, jobs = run(tmp_path, "Donau", "all")
    assert done.returncode == 0, done.stderr
    asked = {job["n"]: (job["N"], job["R"], job["T"]) for job in jobs}
    # four small jobs are one submission on one node
    assert asked == {
        "train_big": (1, "cpu=3,mem=200000MB,npu=8", 5400),
        "train_on_cpu": (1, "cpu=1,mem=4000MB,npu=0", 3600),
        "GROUP": (1, "cpu=4,mem=16000MB,npu=0", 3600),
    }


@pytest.mark.slow
def test_volcano_gets_what_the_jobs_need(tmp_path):
    done, jobs = run(tmp_path, "Volcano on Kubernetes", "all")
    assert done.returncode == 0, done.stderr
    tasks = {job["job"]["metadata"]["generateName"]: job["job"]["spec"]["tasks"][0] for job in jobs}
    assert set(tasks) == {"train-big-", "train-on-cpu-", "group-"}
    pod = tasks["train-big-"]["template"]["spec"]
    limits = {"cpu": "3", "memory": "200000Mi", "huawei.com/Ascend910": 8}
    assert pod["containers"][0]["resources"] == {"limits": limits, "requests": limits}
    assert pod["activeDeadlineSeconds"] == 5400
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "distillery"
    # the scheduler's label, the nodes' labels, and the driver, which lies on the node
    template = tasks["train-big-"]["template"]
    assert template["metadata"]["labels"]["ring-controller.atlas"] == "ascend-910b"
    assert pod["nodeSelector"] == {"host-arch": "huawei-arm", "accelerator-type": "module-910b-8"}
    mounted = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert {"/usr/local/Ascend/driver", "/usr/local/dcmi", "/usr/local/bin/npu-smi"} <= mounted
    assert {one["name"] for one in pod["volumes"]} == {
        one["name"] for one in pod["containers"][0]["volumeMounts"]
    }
    small = str(tasks["group-"])
    assert "huawei.com/Ascend910" not in small and "hostPath" not in small and "module-910b" not in small


@pytest.mark.slow
@pytest.mark.parametrize("title", ["Slurm", "Donau", "Volcano on Kubernetes"])
def test_a_failed_job_is_a_failure(tmp_path, title):
    done, jobs = run(tmp_path, title, "bad")
    assert done.returncode == 1
    assert "Error in rule bad" in done.stdout + done.stderr
    assert len(jobs) == 1
