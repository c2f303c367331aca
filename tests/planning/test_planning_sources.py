"""A source that lies on this machine and is not there is an error of every plan, whatever earlier runs left of it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml
from places import FIXTURES, ROOT

from distillery import config
from distillery.planning import checks

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
SEVEN = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
SHARDS = "train-{00000..00001}-of-00002.parquet"


def absent(raw: dict) -> dict[str, str]:
    """{key: what is not there} of the errors."""
    found = [one for one in checks.run(config.load(raw)) if one.id == "absent-source"]
    assert all(one.severity == "error" for one in found)
    return {one.keys[0]: one.found for one in found}


def local(folder: Path) -> dict:
    """The small experiment with model and data of a folder."""
    raw = copy.deepcopy(SMALL)
    raw["models"]["tiny"] = {"path": {"path": str(folder / "model")}}
    raw["datasets"]["sums"] = {"source": {"path": {"path": str(folder / "data"), "files": SHARDS}}}
    return raw


def test_a_generator_needs_nothing():
    assert absent(SMALL) == {}


def test_folders_and_files_that_are_not_there_are_named(tmp_path):
    raw = local(tmp_path)
    model, data = "models.tiny.path.path", "datasets.sums.source.path.path"
    assert absent(raw) == {model: f"no {tmp_path}/model", data: f"no {tmp_path}/data"}
    (tmp_path / "model").mkdir()
    (tmp_path / "data").mkdir()
    first, second = (tmp_path / "data" / f"train-0000{n}-of-00002.parquet" for n in (0, 1))
    assert absent(raw) == {
        model: f"no {tmp_path}/model/config.json and 1 more",
        data: f"no {first} and 1 more",
    }
    first.mkdir()  # a shard that is a folder, a model's folder that is a file
    (tmp_path / "file").touch()
    raw["models"]["tiny"]["path"]["path"] = str(tmp_path / "file")
    assert absent(raw) == {model: f"{tmp_path}/file is a file", data: f"{first} is a folder and 1 more"}
    (told,) = (one for one in checks.run(config.load(raw)) if "file is a file" in one.found)
    assert f"name its folder, {tmp_path}," in str(told)
    raw["models"]["tiny"]["path"]["path"] = str(tmp_path / "model")
    first.rmdir()
    first.touch()
    (tmp_path / "model/model-00001-of-00002.safetensors").touch()
    (tmp_path / "model/config.json").write_bytes(
        (ROOT / "tests/fixtures/convert/hf/tiny/config.json").read_bytes()
    )
    assert absent(raw) == {data: f"no {second}"}
    second.symlink_to(tmp_path / "gone")
    assert absent(raw) == {data: f"no {second}"}
    second.unlink()
    second.touch()
    assert absent(raw) == {}


def test_the_dataset_of_a_tokenizer_is_a_source_too(tmp_path):
    raw = copy.deepcopy(SMALL)
    raw["datasets"]["texts"] = {"source": {"path": {"path": str(tmp_path / "no"), "files": SHARDS}}}
    assert absent(raw) == {}
    raw["models"]["tiny"]["random"]["tokenizer"]["dataset"] = "texts"
    assert absent(raw) == {"datasets.texts.source.path.path": f"no {tmp_path}/no"}


def test_the_problems_that_a_teacher_is_asked_are_a_source_too(tmp_path):
    raw = yaml.safe_load((ROOT / "config/distill.yaml").read_text())
    assert absent(raw) == {}
    raw["problem_sets"]["unanswered"] = {"path": {"path": str(tmp_path / "no"), "files": "a.parquet"}}
    assert absent(raw) == {"problem_sets.unanswered.path.path": f"no {tmp_path}/no"}


@pytest.mark.parametrize("there", [True, False])
def test_a_committed_lock_is_there(tmp_path, monkeypatch, there):
    raw = copy.deepcopy(SEVEN)
    hub = raw["datasets"]["openr1-math-220k"]["source"]["hub"]
    monkeypatch.chdir(ROOT if there else tmp_path)
    wanted = {} if there else {"datasets.openr1-math-220k.source.hub.lock": f"no {hub['lock']}"}
    assert absent(raw) == wanted
