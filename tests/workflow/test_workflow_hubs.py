"""An experiment with its model, shards and problems served by hubs gives what it gives when they are made in place."""

from pathlib import Path

import pytest
import yaml
from house import House
from hub_listings import SHA1
from hub_server import HubServer

from distillery import artefacts, config, files, json_files, stated_sources
from distillery.report import licences

pytestmark = pytest.mark.faults  # one of the hubs' mirrors is down, and the other cuts its first answers
SAME = [
    "results/datasets/*/*/*_packed_*_document.*",
    "results/checkpoints/*/*/iter_*/*/model_optim_rng.pt",
    "results/experiments/*/hf/model.safetensors",
    "results/experiments/*/tuned.jsonl",
    "results/experiments/*/tuned.scores.jsonl",
    "results/generations/*/*.jsonl",
    "results/experiments/*/comparison.json",
]
TARGETS = ["mcore2hf", artefacts.COMPARISON.at(experiment="small")]  # what makes them: no report is drawn


def digests(house: House) -> dict[str, str]:
    found = {path for pattern in SAME for path in house.path.glob(pattern)}
    return {str(path.relative_to(house.path)): files.sha256(path) for path in sorted(found)}


def served(finished: House, server: HubServer, folder: Path) -> House:
    """The finished experiment's configuration with hubs as sources, and those hubs filled with its files."""
    settings = yaml.safe_load(finished.configfile.read_text())
    (model,), (dataset,) = settings["models"], settings["datasets"]
    paths = sorted((finished.path / "resources/datasets" / dataset).glob("*.parquet"))
    shards = {f"data/{path.name}": path.read_bytes() for path in paths}
    weights = (finished.path / "resources/models" / model).iterdir()
    server.repo(
        "lab/tiny",
        "model",
        {
            path.name: path.read_bytes()
            for path in weights
            if not path.name.endswith(("manifest.json", ".sha256"))
        }
        | {"README.md": b"---\nlicense: apache-2.0\n---\n# tiny\n"},
    )
    server.repo("lab/sums", "dataset", shards)
    (problems,) = settings["problem_sets"]
    asked = (finished.path / f"resources/problems/{problems}.parquet").read_bytes()
    server.repo("lab/problems", "dataset", {"held/out.parquet": asked})
    made = settings["datasets"][dataset]["source"]["generator"]
    hubs = {"revision": "main", "endpoints": ["http://127.0.0.1:9", server.url]}
    settings["models"][model] = {
        "hub": {"host": "modelscope", "repo": "lab/tiny"} | hubs | {"revision": "master"}
    }
    pattern = f"data/train-{{00000..{len(shards) - 1:05d}}}-of-{len(shards):05d}.parquet"
    source = {
        "host": "huggingface",
        "repo": "lab/sums",
        "files": pattern,
        "rows": made["shards"] * made["rows_per_shard"],
    }
    settings["datasets"][dataset]["source"] = {"hub": source | hubs}
    source = {"host": "huggingface", "repo": "lab/problems", "files": "held/*.parquet"}
    settings["problem_sets"][problems] = {"hub": source | hubs}
    (folder / "served.yaml").write_text(yaml.safe_dump(settings))
    (folder / "house").mkdir()
    return House(folder / "house", folder / "served.yaml")


def test_served_by_hubs_or_made_in_place_all_results_are_the_same(finished, tmp_path, monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "modelscope"))
    with HubServer() as server:
        house = served(finished, server, tmp_path)
        server.fault(kind="cut", at=3000, times=2)
        house.run("--", *TARGETS)
        expected = digests(finished)
        assert len(expected) > 10 and digests(house) == expected
        manifest = json_files.read(house.path / "resources/models/tiny/manifest.json")
        assert manifest["revision"] == SHA1 and manifest["source"]["host"] == "modelscope"
        assert json_files.read(house.path / "resources/datasets/sums.rows.json")["rows"] == 120
        imported = json_files.read(house.path / "resources/problems/sums-heldout.parquet.manifest.json")
        assert [one["name"] for one in imported["files"]] == ["held/out.parquet"]
        # what is made again from files that are there asks nobody, locks apart
        server.log.clear()
        assert not house.planned("--", *TARGETS)
        (house.path / "resources/models/tiny/manifest.json").unlink()
        house.run("--forcerun", "fetch_shard", "--until", "fetch_digest", "convert_hf_to_mcore")
        assert not server.log and digests(house) == expected
        shard = next((house.path / "resources/datasets/sums").glob("*.parquet"))
        assert shard.is_symlink() and shard.resolve().stat().st_mode & 0o222 == 0
    # what the export's card says of them
    model = house.path / artefacts.MODEL.at(model="tiny")
    assert licences.of_model(model, []).header == {"license": "apache-2.0"}
    said = stated_sources.of(config.read(house.configfile), "small")
    assert (said["model"]["source"], said["model"]["hub_id"]) == ("modelscope: lab/tiny, revision master", "")
    assert said["datasets"]["sums"]["hub_id"] == "lab/sums" and not said["datasets"]["sums"]["license"]


def test_offline_ends_with_the_list_of_what_is_missing(finished, tmp_path):
    with HubServer() as server:
        house = served(finished, server, tmp_path)
        settings = yaml.safe_load(house.configfile.read_text()) | {"offline": True}
        house.configfile.write_text(yaml.safe_dump(settings))
        done = house.snakemake("--cores", "2", "resources/models/tiny/manifest.json")
        assert done.returncode != 0 and not server.log
        log = (house.path / "logs/locks/models/tiny.log").read_text()
        assert "offline, and the lock does not say everything" in log
