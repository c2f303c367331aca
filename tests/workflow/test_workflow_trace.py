"""A trace both ways on a finished experiment: its rows are those that the steps' own counts tell of, and a changed row shows."""

import json
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml

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


def test_another_row_of_a_shard_is_another_training_of_the_same_order(finished, answers, tmp_path):
    """The same rows from a folder, but for one text of the second shard, trained anew: what of the trace changes, and what does not."""
    before = json.loads(trace(finished, answers[0]["id"], "--json", "--rows", str(tmp_path / "before.jsonl")))
    rows = [json.loads(line) for line in (tmp_path / "before.jsonl").read_text().splitlines()]
    second = "train-00001-of-00002.parquet"  # the tokenizer was made of the first
    chosen = next(row for row in rows if row["shard"] == second)
    folder = tmp_path / "mine"
    folder.mkdir()
    for path in (finished.path / "resources/datasets/sums").glob("*.parquet"):
        shutil.copyfile(path, folder / path.name)
    table = pq.read_table(folder / second)
    messages = table["messages"].to_pylist()
    messages[chosen["row"]][0]["content"] += " Think twice."
    column = table.schema.get_field_index("messages")
    pq.write_table(table.set_column(column, table.schema.field(column), [messages]), folder / second)
    house = finished.copied(tmp_path / "house")
    raw = yaml.safe_load(house.configfile.read_text())
    raw["datasets"]["sums"]["source"] = {"path": {"path": str(folder), "files": "*.parquet"}}
    house.configfile.write_text(yaml.safe_dump(raw, sort_keys=False))
    house.run("--until", "generate_tuned_answers")
    after = json.loads(trace(house, answers[0]["id"], "--json", "--rows", str(tmp_path / "after.jsonl")))
    (old,), (new,) = before["trainings"], after["trainings"]
    assert [
        one["sha256"] == two["sha256"] for one, two in zip(old["shards"], new["shards"], strict=True)
    ] == [
        True,
        False,
    ]
    assert {key for key in new if new[key] != old[key]} >= {
        "key",
        "data",
        "weights",
        "weights_digest",
        "shards",
    }
    assert new["settings"] == old["settings"] and new["started_from"] == old["started_from"]
    # the same rows at the same steps
    assert (tmp_path / "after.jsonl").read_text() == (tmp_path / "before.jsonl").read_text()
    found = json.loads(trace(house, "--row", chosen["uuid"], "--json"))
    assert found["rows"]["small"][0]["steps"] == [chosen["step"]]
    kept = json.loads(
        (house.path / "results/provenance/results/experiments/small/train/done.json.json").read_text()
    )
    assert (
        kept["inputs"]
        != json.loads(
            (finished.path / "results/provenance/results/experiments/small/train/done.json.json").read_text()
        )["inputs"]
    )
