"""The embedded export behind transformers serve: it answers as our engine does, and teaches a student in a round of distillation."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from commands import here
from house import House
from places import ROOT

from distillery.serving import started
from distillery.serving.started import Wanted

SHARE = 40  # of the 400 problems
SHARD = "resources/datasets/taught/train-00000-of-00001.parquet"
DONE = "results/experiments/student/train/done.json"
KEY = "sk-stands-nowhere-0987654321"


@pytest.fixture(scope="module")
def server(embedded: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address and the model's name of one server for all tests."""
    load, logs = embedded.path / "results/experiments/embedded/hf", tmp_path_factory.mktemp("served")
    # two threads for matrices this small wait for one another most of the time
    env = {"OMP_NUM_THREADS": "1"}
    wanted = Wanted("transformers", sys.executable, load, {}, 1, 0, logs, 600, env=env)
    with started.running(wanted) as replicas:
        yield replicas.urls[0], wanted.model


@pytest.fixture
def house(embedded: House, server: tuple[str, str], tmp_path: Path) -> House:
    """The embedded experiment, and a fresh student of its answers to 12 new problems."""
    house = embedded.copied(tmp_path / "house")
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    url, model = server
    raw["servers"] = {"mine": {"url": url, "model": model, "engine": "transformers", "api_key_env": "MY_KEY"}}
    raw["servers"]["mine"]["concurrency"] = 8
    raw["problem_sets"]["new"] = {"generator": {"seed": 5, "rows": 12, "part": "training"}}
    teacher = {"experiment": "embedded", "server": "mine", "problems": "new", "samples": 2}
    raw["datasets"]["taught"] = {"source": {"teacher": teacher}}
    own = raw["experiments"]["embedded"]
    short = {**own["train"], "train_iters": 2, "save_interval": 2}
    raw["experiments"]["student"] = {**own, "dataset": "taught", "train": short}
    house.configfile.write_text(yaml.safe_dump({**raw, "run": ["student"]}, sort_keys=False))
    return house


def lines(path: Path) -> list[dict]:
    return [json.loads(one) for one in path.read_text().splitlines()]


def test_transformers_answers_as_our_engine(embedded: House, server: tuple[str, str], tmp_path: Path) -> None:
    """Greedy answers; floats are summed in another order, so that one might differ."""
    experiment = embedded.path / "results/experiments/embedded"
    problems = pq.read_table(embedded.path / "resources/problems/arithmetic-heldout.parquet").slice(0, SHARE)
    pq.write_table(problems, tmp_path / "some.parquet")
    output, (url, model) = tmp_path / "served.jsonl", server
    words = ["--load", experiment / "hf", "--url", url, "--served-model", model]
    words += ["--server-engine", "transformers", "--concurrency", 8, "--max-new-tokens", 76]
    done = here("generate_served.py", *words, "--prompt-file", tmp_path / "some.parquet", "--output", output)
    assert done.returncode == 0, done.stderr
    ours, theirs = lines(experiment / "tuned.jsonl")[:SHARE], lines(output)
    assert [one["id"] for one in theirs] == [one["id"] for one in ours]
    same = [one for one, a in zip(theirs, ours, strict=True) if one["text"] == a["text"]]
    assert len(same) >= SHARE - 1
    like = {one["id"]: one for one in ours}
    for one in same:
        for key in ("tokens", "stop", "rendered_prompt", "seed", "prompt", "sample"):
            assert one[key] == like[one["id"]][key], key
    told = json.loads((tmp_path / "served.server.json").read_text())
    known = ("engine", "asked_as", "prompts_compared_by")
    assert [told[key] for key in known] == ["transformers", "text", "prompt_tokens"]


def test_a_started_server_s_version_is_its_environment_s() -> None:
    wanted = Wanted("transformers", sys.executable, Path(), {}, 1, 0, Path(), 1)
    assert wanted.version == version("transformers")


def test_a_student_learns_what_a_served_teacher_answers(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    jobs = house.planned(DONE)
    # the teacher was trained and exported by the run before
    wanted = ("generate_teacher_answers_served", "fetch_teacher_questions", "fetch_teacher_shard", "train")
    assert {name: jobs[name] for name in wanted} == dict.fromkeys(wanted, 1)
    assert not {"generate_teacher_answers", "convert_mcore_to_hf", "fetch_generated_shard"} & jobs.keys()
    done = house.snakemake("--cores", "2", "--printshellcmds", "--verbose", DONE)
    assert done.returncode == 0, done.stderr
    (answers,) = (house.path / "results/teachers").glob("embedded-new-*/00000-of-00001.jsonl")
    texts = [one["text"] for one in lines(answers)]
    rows = pq.read_table(house.path / SHARD).to_pylist()
    folder = house.path / "resources/datasets/taught.pass_rates"
    rates = json.loads((folder / f"{Path(SHARD).name}.json").read_text())
    assert len(texts) == 24 == rates["answers"] and rates["right"] == len(rows) >= 20
    assert {row["messages"][1]["content"] for row in rows} <= set(texts)
    assert json.loads((house.path / DONE).read_text())["iteration"] == 2
    # neither what was written nor what was said, commands and Snakemake's own records among it
    assert "generate_served.py" in done.stderr and KEY not in done.stdout + done.stderr
    written = [path for path in house.path.rglob("*") if path.is_file()]
    assert any(".snakemake/log" in str(path) for path in written)
    assert not [path for path in written if KEY.encode() in path.read_bytes()]
    assert not house.planned(DONE)
    # what is kept changes no answer
    with house.replaced(house.configfile.name, "samples: 2", "samples: 2\n        keep: one_right"):
        jobs = house.planned(DONE)
    assert jobs["fetch_teacher_shard"] == 1 and not any(name.startswith("generate") for name in jobs)


def test_each_shard_is_asked_graded_and_written_by_its_own_jobs(house: House) -> None:
    with house.replaced(house.configfile.name, "samples: 2", "samples: 2\n        shards: 3"):
        jobs = house.planned("resources/datasets/taught/train-00001-of-00003.parquet")
    assert jobs["generate_teacher_answers_served"] == jobs["fetch_teacher_shard"] == 1
