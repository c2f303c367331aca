"""What a run leaves by itself beside its results: a manifest of each file, a crate of all, a model card; and that no key holds any of it."""

import hashlib
import json
import os
import re
import subprocess
import sys

import forked
import pytest
from huggingface_hub import ModelCard

from distillery import digests
from distillery.trace import provenance_records

FOLDER = "results/experiments/small"
TIME = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\b1[6-9]\d{8}\b")


@pytest.fixture(scope="module")
def records(finished):
    found = {}
    for path in (finished.path / "results/provenance").rglob("*.json"):
        record = provenance_records.read(path)
        assert record, path
        found[record["path"]] = record
        assert path == finished.path / f"results/provenance/{record['path']}.json"
    return found


def test_every_output_of_a_run_has_a_manifest(finished, records):
    kept = [path for path in (finished.path / ".snakemake/metadata").rglob("*") if path.is_file()]
    assert len(records) == len(kept) >= 26
    for path, record in records.items():
        assert record["sha256"] == hashlib.sha256((finished.path / path).read_bytes()).hexdigest()
        assert record["bytes"] == (finished.path / path).stat().st_size
        assert record["command"][1].startswith("workflow/scripts/") and len(record["code"]) == 16
        assert all(record["inputs"].values())
        assert record["versions"]["python"].startswith("3.")
        text = json.dumps(record)
        # the folder's name has the word
        assert not TIME.search(text) and "CANARY" not in text and sys.prefix not in text
    trained = records[f"{FOLDER}/train/done.json"]
    assert (
        trained["settings"]["--lr"] == ["0.001"]
        and not {"--load", "--save", "--log"} & trained["settings"].keys()
    )
    assert {"mindspore", "numpy", "safetensors"} <= trained["versions"].keys()
    assert trained["inputs"] and trained["inputs"].keys() <= records.keys()  # each has a manifest itself


def test_the_crate_is_there_and_names_no_machine(finished, records):
    text = (finished.path / "ro-crate-metadata.json").read_text()
    assert "CANARY" not in text and sys.prefix not in text
    graph = {one["@id"]: one for one in json.loads(text)["@graph"]}
    made = {
        result["@id"]: one
        for one in graph.values()
        if one["@type"] == "CreateAction" and one["@id"] != "#run"
        for result in one["result"]
    }
    assert made.keys() == records.keys()
    for name in ("train/done.json", "tuned.jsonl", "summary.json", "report.html", "hf/manifest.json"):
        path = f"{FOLDER}/{name}"
        assert graph[path]["sha256"] == records[path]["sha256"]
        assert made[path]["object"] and made[path]["description"].startswith("python workflow/scripts/")


def test_by_hand_it_gets_a_name_and_a_date(finished):
    crate = finished.path / "ro-crate-metadata.json"
    before = crate.read_bytes()

    def write(*words: str) -> str:
        line = [sys.executable, "workflow/scripts/trace_crate.py", "--configfile", "experiment.yaml", *words]
        done = subprocess.run(line, cwd=finished.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return crate.read_text()

    try:
        assert '"datePublished": "2001-02-03"' in write("--date", "2001-02-03", "--name", "Sums")
        assert '"datePublished": "2001-02-03"' in write(
            "--name", "Sums"
        )  # nothing else changed: the date stays
        assert "2001-02-03" not in write()
    finally:
        crate.write_bytes(before)


def test_a_damaged_manifest_is_written_again(finished, records):
    path = finished.path / f"results/provenance/{FOLDER}/summary.json.json"
    before = path.read_bytes()
    stray = path.with_name("gone.json.json")
    stray.write_bytes(before)
    path.write_bytes(before.replace(b"--problem-set", b"--problem-sex"))
    line = [sys.executable, "workflow/scripts/trace_crate.py", "--configfile", "experiment.yaml"]
    done = subprocess.run(line, cwd=finished.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert path.read_bytes() == before and not stray.exists()


def test_an_upgraded_package_throws_no_run_away(finished, tmp_path):
    house = finished.copied(tmp_path / "house")
    for name in ("mindspore", "numpy", "pyarrow", "jinja2", "matplotlib"):
        upgraded = tmp_path / f"packages/{name}-99.0.dist-info"
        upgraded.mkdir(parents=True)
        (upgraded / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "packages")}

    def run(*words: str) -> str:
        done = forked.run(
            forked.SNAKEMAKE, "--configfile", house.configfile, *words, cwd=house.path, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "Nothing to be done" in run("--dry-run")
    trained = house.path / f"{FOLDER}/train"
    weights = {path: path.stat().st_mtime_ns for path in trained.rglob("*.pt")}
    key = digests.read_json(trained / "done.json")["key"]
    for rule in ("train", "report_page"):
        run("--cores", "2", "--forcerun", rule, "--until", rule, "--allowed-rules", rule)
    # it resumed: the same key, and no step was trained again
    assert digests.read_json(trained / "done.json")["key"] == key
    assert weights and weights == {path: path.stat().st_mtime_ns for path in trained.rglob("*.pt")}
    record = provenance_records.read(house.path / f"results/provenance/{FOLDER}/report.html.json")
    assert record["versions"]["jinja2"] == "99.0"
    untouched = provenance_records.read(house.path / f"results/provenance/{FOLDER}/summary.json.json")
    assert untouched["versions"]["numpy"] != "99.0"
    assert house.planned() == {}


def test_the_card_has_scores_data_recipe_digests_and_licences(finished):
    folder = finished.path / FOLDER
    card = folder / "upload/README.md"
    text, read = card.read_text(), ModelCard.load(card)
    summary = json.loads((folder / "summary.json").read_text())
    (result,) = read.data.eval_results
    assert read.data.model_name == "small" and result.metric_value == summary["tuned"]["accuracy"]
    assert result.metric_args["interval_95"] == summary["tuned"]["interval"]
    assert (read.data.license, read.data.pipeline_tag) == ("unknown", "text-generation")
    shard = next((finished.path / "resources/datasets/sums").glob("*.parquet"))
    trained = digests.read_json(folder / "train/done.json")
    for words in (
        "train.lr",
        "0.001",
        digests.wanted(shard)[0],
        trained["key"],
        trained["payload_digest"],
        "sums-heldout",
        "rows of `sums` (`generated, seed 5`): `made by this workflow: nobody else's text`",
    ):
        assert words in text
    digests.read_bytes(card)
    with finished.edited(f"{FOLDER}/upload/README.md", b"mine"):
        assert "upload/README.md" in finished.verify("--quick").stderr


def test_the_card_lies_with_the_export_and_follows_its_scores(finished, tmp_path):
    house = finished.copied(tmp_path / "house")
    folder = house.path / FOLDER
    files = {path.name for path in (folder / "hf").glob("[!.]*")}
    uploaded = {path.name for path in (folder / "upload").glob("[!.]*")}
    assert "model.safetensors" in files and uploaded == files | {"README.md"}
    (folder / "upload/model.safetensors").unlink()
    assert house.planned() == {"report_page": 1}
    summary = digests.read_json(folder / "summary.json")
    for key in ("sets", "model-index"):
        text = json.dumps(summary[key])
        assert '"accuracy": 0.0' in text or '"value": 0.0' in text
        summary[key] = json.loads(
            text.replace('"accuracy": 0.0', '"accuracy": 0.25').replace('"value": 0.0', '"value": 0.25')
        )
    digests.write_json(folder / "summary.json", summary)
    house.run("--allowed-rules", "report_page")
    read = ModelCard.load(folder / "upload/README.md")
    assert read.data.eval_results[0].metric_value == 0.25 and "| 25.0% |" in read.text
    weights = [folder / name / "model.safetensors" for name in ("hf", "upload")]
    assert weights[0].samefile(weights[1])
    assert house.planned() == {}
