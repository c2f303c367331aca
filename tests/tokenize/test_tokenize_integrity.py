"""What is read is what was written: every file of a dataset flipped, cut, emptied, gone; a shard beside its digest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from places import SCRIPTS
from tokenize_runs import MANY, merge, run, shard

from distillery import json_files
from distillery.problems import Problem
from distillery.tokenize.dataset_files import DatasetFiles

DAMAGES = {
    "flipped": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    ),
    "zeroed": lambda data: bytes(len(data)),
    "cut": lambda data: data[:-1],
    "emptied": lambda data: b"",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a shard of ten rows, and its dataset `d`."""
    folder = tmp_path_factory.mktemp("made")
    run(shard(folder / "rows.parquet", MANY[:10]), folder / "d")
    return folder


def test_the_manifest_has_a_checksum_of_every_file(made):
    listed = json_files.read(made / "d_manifest.json")["crc32"]
    assert {f"d_{name}" for name in listed} == {path.name for path in made.glob("d_*")} - {"d_manifest.json"}
    DatasetFiles(made / "d").check(json_files.read(made / "d_manifest.json"), "again")


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES)
def test_merging_and_training_take_no_damaged_file(made, tmp_path, damage):
    from distillery.train import tokenized_data

    names = sorted(path.name for path in made.glob("d_*") if path.suffix != ".json")
    assert len(names) >= 7
    for name in names:
        whole = (made / name).read_bytes()
        (made / name).write_bytes(DAMAGES[damage](whole))
        try:
            for read in (
                lambda: merge([made / "d"], tmp_path / "m"),
                lambda: tokenized_data.read(made / "d"),
            ):
                with pytest.raises(Problem) as caught:
                    read()
                assert str(made / name) in str(caught.value)
        finally:
            (made / name).write_bytes(whole)
    assert not list(tmp_path.iterdir())
    tokenized_data.read(made / "d")


def test_a_dataset_of_version_0_1_is_read_as_before(made):
    manifest = json_files.read(made / "d_manifest.json")
    DatasetFiles(made / "d").check({**manifest, "crc32": {"packed_input_ids": [7]}}, "again")


@pytest.mark.faults
def test_a_shard_that_is_not_the_one_of_its_digest_is_refused(tmp_path):
    """18 % of single flipped bits of a shard change rows, and nothing in parquet tells."""
    one = shard(tmp_path / "train-00000-of-00001.parquet", MANY[:10])
    line = [sys.executable, SCRIPTS / "fetch_digest.py", "--input", one, "--output", f"{one}.sha256"]
    subprocess.run(line, check=True)
    run(one, tmp_path / "d")
    shard(one, MANY[1:11])
    with pytest.raises(Problem, match="whose digest lies beside it") as caught:
        run(one, tmp_path / "e")
    assert str(one) in str(caught.value)
    assert not list(tmp_path.glob("*e_*"))


@pytest.mark.faults
@pytest.mark.parametrize("ending", ["a/111_document.idx", "../../etc/passwd", "x" * 300, "a\0.idx"])
def test_a_manifest_lists_no_files_elsewhere(tmp_path, ending):
    """Found by coverage: it was a defect of the command."""
    made = DatasetFiles(tmp_path / "a")
    with pytest.raises(Problem, match="(?s)no file of its dataset.*a_manifest.json, crc32"):
        made.check({"crc32": {ending: 1}}, "make it again")
