"""A trace both ways on a finished experiment: its rows are those that the steps' own counts tell of, and a changed row shows."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

from distillery import digests, parquet_files
from distillery.tokenize.dataset_files import DatasetFiles
from distillery.train import tokenized_data

LINE = ["workflow/scripts/trace_generation.py", "--configfile", "experiment.yaml"]


def trace(house, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *LINE, *words], cwd=house.path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def answers(finished):
    return digests.json_lines(finished.path / "results/experiments/small/tuned.jsonl")


def test_an_answer_leads_to_the_rows_that_taught_it(finished, answers, tmp_path):
    found = json.loads(trace(finished, answers[2]["id"], "--json", "--rows", str(tmp_path / "rows.jsonl")))
    assert found["answer"]["line"] == 3 and found["answer"]["experiment"] == "small"
    assert all(found["answer"][key] == answers[2][key] for key in ("prompt", "text", "seed", "stop"))
    (training,) = found["trainings"]
    done = digests.read_json(finished.path / "results/experiments/small/train/done.json")
    assert (training["key"], training["step"], training["weights_digest"]) == (
        done["key"],
        done["iteration"],
        done["payload_digest"],
    )
    assert (finished.path / training["weights"]).is_dir()
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert training["rows"] == rows[:5] and len(rows) == training["samples"] == 16
    # the engine counted the tokens of each step as it trained: those of the rows that the trace names
    (manifest,) = finished.path.glob("results/datasets/sums/*/sums_manifest.json")
    data = tokenized_data.read(manifest.with_name("sums"))
    place = {
        (row["shard"], row["row"]): number
        for number, row in enumerate(parquet_files.rows(DatasetFiles(data.prefix).rows))
    }
    metrics = digests.json_lines(finished.path / "results/experiments/small/train" / done["metrics"])
    for step in range(1, 5):
        mine = [data.rows.input_ids[place[row["shard"], row["row"]]] for row in rows if row["step"] == step]
        assert sum(map(len, mine)) == metrics[step - 1]["tokens"] and len(mine) == 4
    # shard, row and uuid are those of the shard itself
    for row in rows:
        shard = parquet_files.rows(finished.path / "resources/datasets/sums" / row["shard"])
        assert shard[row["row"]]["uuid"] == row["uuid"]


def test_a_row_leads_to_the_experiments_that_learned_from_it(finished, answers, tmp_path):
    trace(finished, answers[0]["id"], "--rows", str(tmp_path / "rows.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    found = json.loads(trace(finished, "--row", rows[7]["uuid"], "--json"))
    (use,) = found["rows"]["small"]
    assert use["steps"] == [2] and (use["shard"], use["row"]) == (rows[7]["shard"], rows[7]["row"])
    assert "small: sums/" in trace(finished, "--row", rows[7]["uuid"])


def test_what_is_not_there_is_said(finished, answers):
    assert "no such answer" in trace(finished, "nobody", code=1)
    assert "no such answer" in trace(finished, f"{answers[0]['id']}:1", code=1)
    assert "no experiment has the row" in trace(finished, "--row", "nobody", code=1)
    assert "nothing to trace" in trace(finished, code=2)


def test_a_changed_row_of_a_shard_shows(finished, answers):
    """The data are tokenized again, the training is not yet: the trace names no row that it did not see."""
    (manifest,) = finished.path.glob("results/datasets/sums/*/sums_manifest.json")
    content = digests.read_json(manifest)
    before = json.loads(trace(finished, answers[0]["id"], "--json"))["trainings"][0]["shards"]
    assert [one["sha256"] for one in before] == [one["sha256"] for one in content["inputs"]]
    changed = json.loads(manifest.read_text())
    changed["inputs"][0]["sha256"] = "0" * 64
    listing = digests.beside(manifest)
    kept = listing.read_bytes()
    with finished.edited(manifest, json.dumps(changed).encode()):
        assert "not the one whose digest" in trace(finished, answers[0]["id"], code=1)
        digests.record(manifest)
        said = trace(finished, answers[0]["id"], code=1)
    listing.write_bytes(kept)
    assert "trained on other data than lie there now" in said and "--forcerun" in said
    assert json.loads(trace(finished, answers[0]["id"], "--json"))["trainings"][0]["shards"] == before


def test_a_crate_describes_every_file_and_names_no_machine(finished):
    line = [
        sys.executable,
        "workflow/scripts/trace_crate.py",
        "--configfile",
        "experiment.yaml",
        "--date",
        "2026-11-30",
    ]
    house = finished.path
    try:
        for _ in range(2):  # the same again
            done = subprocess.run(line, cwd=house, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            texts = {
                path: path.read_text()
                for path in [house / "ro-crate-metadata.json", *house.glob("results/provenance/**/*.json")]
            }
            before = locals().get("before", texts)
            assert texts == before
    finally:
        shutil.rmtree(house / "results/provenance", ignore_errors=True)
        (house / "ro-crate-metadata.json").unlink(missing_ok=True)
    assert not [path for path, text in texts.items() if str(house) in text or sys.prefix in text]
    graph = {one["@id"]: one for one in json.loads(texts[house / "ro-crate-metadata.json"])["@graph"]}
    made = {
        result["@id"]: one
        for one in graph.values()
        if one["@type"] == "CreateAction"
        for result in one["result"]
    }
    for name in ("train/done.json", "tuned.jsonl", "summary.json", "report.html", "hf/manifest.json"):
        path = f"results/experiments/small/{name}"
        assert graph[path]["sha256"] == hashlib.sha256((house / path).read_bytes()).hexdigest()
        assert made[path]["object"] and made[path]["description"].startswith("python workflow/scripts/")
    record = json.loads(texts[house / "results/provenance/results/experiments/small/train/done.json.json"])
    assert record["rule"] == "train" and "--lr" in record["command"] and len(record["code"]) == 16
    assert record["versions"]["mindspore"] and all(len(digest) == 64 for digest in record["inputs"].values())
