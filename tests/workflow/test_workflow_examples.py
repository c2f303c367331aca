"""Each of config/examples runs to its scores, and one of them is asked by sets of a folder, a hub and a plain address; odd names do no harm.

They run as one configuration, so that they share what they can, shortened, and line by line as Snakemake prints them, forked.
"""

from __future__ import annotations

import copy
import glob
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import finished_runs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hub_server import HubServer
from places import ROOT
from shared import once

from distillery import artefacts, json_files

EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))
PARTS = {"models": "model", "datasets": "dataset", "problem_sets": "problems"}
ASKED = "local-problems"  # the example that is asked more
OWN = {"num_samples": 2, "temperature": 0.9, "max_new_tokens": 3}
HUB = [{"question": f"Add {n} and 4.", "answer": f"{n} + 4 = {n + 4}\n#### {n + 4}"} for n in range(2)]
ODD = """it's 数据 (1) {x} [a] "q" $HOME"""  # a folder of one's own, and the stem of a file in it
URL = [{"id": n, "problem": f"Halve {2 * n}.", "answer": f"{n:03}"} for n in (1, 7)]

pytestmark = [pytest.mark.long, pytest.mark.mindspore]


def merged() -> tuple[dict[str, Any], dict[str, list[str]]]:
    """One configuration of all examples, and {example: its experiments}; a step each, and answers of a few tokens.

    What is equal has one name, experiments too: examples that differ in their words alone are one run.
    """
    made: dict[str, Any] = {part: {} for part in (*PARTS, "experiments")}
    ran_as: dict[str, list[str]] = {}
    for path in EXAMPLES:
        raw = yaml.safe_load(path.read_text())
        known = {
            part: {
                own: named(made[part], entitled(path, raw[part], own), one) for own, one in raw[part].items()
            }
            for part in PARTS
        }
        stages: dict[str, str] = {}
        for own, written in raw["experiments"].items():
            experiment = copy.deepcopy(written)
            for part, key in PARTS.items():
                experiment[key] = renamed(experiment[key], known[part], stages)
            experiment["train"] |= {"train_iters": 1, "save_interval": 1}
            experiment["generate"]["max_new_tokens"] = 4
            stages[own] = named(made["experiments"], entitled(path, raw["experiments"], own), experiment)
        ran_as[path.stem] = list(stages.values())
    made["hardware"] = {"laptop": {"threads": 1}}
    return made, ran_as


def entitled(path: Path, parts: dict[str, Any], own: str) -> str:
    """The example's name for one of its parts, with the part's own where there are several."""
    return path.stem if len(parts) == 1 else f"{path.stem}-{own}"


def renamed(value: Any, known: dict[str, str], stages: dict[str, str]) -> Any:
    """What an experiment says of its model, dataset or problems, under the names that they have in the whole."""
    if isinstance(value, dict):
        return {"experiment": stages[value["experiment"]]}
    if isinstance(value, list):
        return [one | {"name": known[one["name"]]} for one in value]
    return known[value]


def named(known: dict[str, Any], name: str, value: Any) -> str:
    """The name of an equal value among those known; else this one, under which it is known from here on."""
    same = next((one for one, found in known.items() if found == value), name)
    known[same] = value
    return same


def asked_more(raw: dict[str, Any], server: HubServer) -> None:
    """Give one example two further problem sets, of a hub and of a plain address, the first asked in its own way."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(HUB), buffer)
    server.repo("lab/word-problems", "dataset", {"main/test 1.parquet": buffer.getvalue()})
    packed = gzip.compress("".join(f"{json.dumps(row)}\n" for row in URL).encode())
    server.repo("lab/plain", "dataset", {"halves.jsonl.gz": packed})
    raw["problem_sets"]["word-problems"] = {
        "hub": {
            "host": "huggingface",
            "repo": "lab/word-problems",
            "revision": "main",
            "files": "main/*.parquet",
            "endpoints": [server.url],
        },
        "columns": {"problem": "question", "answer": {"after": "####", "type": "number"}},
    }
    raw["problem_sets"]["halves"] = {
        "url": {"urls": [f"{server.url}/plain/{{name}}"], "files": "halves.jsonl.gz"},
        "columns": {"uuid": "id", "answer": {"type": "number"}},
    }
    experiment = raw["experiments"][ASKED]
    experiment["problems"] = [experiment["problems"], "word-problems", "halves"]
    experiment["generate"] |= {"task": "do_sample", "sets": {"word-problems": OWN}}


def named_oddly(raw: dict[str, Any], folder: Path) -> None:
    """Put the model, and the rows and problems of one example, below names that a shell or Snakemake could take for more."""
    own = folder / ODD
    shutil.copytree(ROOT / "config/examples/data/model", own / ODD)
    (model,) = raw["models"].values()
    model["path"]["path"] = str(own / ODD)
    experiment = raw["experiments"][ASKED]
    rows, asked = (
        raw["datasets"][experiment["dataset"]]["source"],
        raw["problem_sets"][experiment["problems"]],
    )
    for source, stem in ((rows, ODD), (asked, f"{ODD} problems")):
        where = source["path"]
        name = Path(where["path"], where["files"])
        shutil.copyfile(ROOT / name, own / f"{stem}{name.suffix}")
        # brackets are a wildcard, unless they stand for themselves
        source["path"] = {"path": str(own), "files": f"{glob.escape(stem)}{name.suffix}"}


def run_all(folder: Path) -> None:
    raw, _ = merged()
    named_oddly(raw, folder)
    with pytest.MonkeyPatch.context() as patch, HubServer() as server:
        for name in ("HF_ENDPOINT", "HF_TOKEN"):
            patch.delenv(name, raising=False)
        asked_more(raw, server)
        targets = [artefacts.SUMMARY.at(experiment=name) for name in raw["experiments"]]
        text = yaml.safe_dump(raw, allow_unicode=True, sort_keys=False)
        for job in finished_runs.planned(folder, text, *targets):
            end = finished_runs.run_here(job, folder)
            assert end.returncode == 0, (job, end)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "examples", run_all) / "results/experiments"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_runs_to_its_scores(ran: Path, path: Path) -> None:
    raw, ran_as = merged()
    for name in ran_as[path.stem]:
        experiment = raw["experiments"][name]
        done = json_files.read(ran / name / "train/done.json")
        assert done["iteration"] == 1 and 3 < done["loss"] < 9
        assert done["template"]["prompt_type"] == experiment["prompt_type"]
        answers, scores = lines(ran / name / "tuned.jsonl"), lines(ran / name / "tuned.scores.jsonl")
        assert [one["id"] for one in answers] == [one["id"] for one in scores] and len(scores) == 4
        assert all(one["scorable"] and 1 <= one["tokens"] <= 4 for one in scores)
        summary = json_files.read(ran / name / "summary.json")
        assert summary["problems"] == summary["base"]["n"] == summary["tuned"]["n"] == 4


def test_sets_of_a_folder_a_hub_and_an_address_are_scored_on_their_own(ran: Path) -> None:
    summary = json_files.read(ran / ASKED / "summary.json")
    golds = {"local-problems": ["4", "9"], "word-problems": ["4", "5"], "halves": ["001", "007"]}
    sets = summary.pop("sets")
    (index,) = summary.pop("model-index")
    assert [one["dataset"]["name"] for one in index["results"]] == list(golds)
    assert sets.keys() == golds.keys() and summary == sets[ASKED]
    assert {name: one["problems"] for name, one in sets.items()} == {
        ASKED: 4,
        "word-problems": 2,
        "halves": 2,
    }
    assert {name: one["samples"] for name, one in sets.items()} == {ASKED: 1, "word-problems": 2, "halves": 1}
    folders = {name: ran / ASKED / "sets" / name for name in golds} | {ASKED: ran / ASKED}
    found = {name: lines(folder / "tuned.scores.jsonl") for name, folder in folders.items()}
    for name, folder in folders.items():
        assert [one["gold"] for one in found[name] if not one["sample"]][:2] == golds[name]
        assert {one["problem_type"] for one in found[name]} == {name}
        assert json_files.read(folder / "summary.json")["tuned"] == sets[name]["tuned"]
    assert {one["id"] for one in found["halves"]} == {"1", "7"}
    assert [one["sample"] for one in found["word-problems"]] == [0, 1, 0, 1]
    assert {one["tokens"] for one in found["word-problems"]} == {3}
