"""The first checkpoint of a training, looked at while it goes on."""

import os
import shutil

import pytest
from convert_parts import TO_MG, convert, make_model, trained

from distillery.convert import torchfile
from distillery.launch import first_save
from distillery.problems import Problem


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """What a training with two tensor ranks left."""
    folder = tmp_path_factory.mktemp("left")
    model = make_model(folder / "model")
    sizes = ["--target-tensor-parallel-size", 2]
    convert(*TO_MG, *sizes, "--load-dir", model, "--save-dir", folder / "mg")
    return trained(folder / "mg", folder / "left")


@pytest.fixture
def now(monkeypatch):
    """The time, to be set."""
    clock = [100.0]
    monkeypatch.setattr(first_save.time, "monotonic", lambda: clock[0])
    return clock


def test_it_waits_for_the_tracker_and_reads_headers_alone(left, tmp_path, now):
    looking = first_save.FirstSave(tmp_path / "save")
    looking.look()
    shutil.copytree(left, tmp_path / "save")
    tracker = tmp_path / "save/latest_checkpointed_iteration.txt"
    tracker.write_text("")  # about to be written
    looking.look()
    for path in (tmp_path / "save").glob("*/*/model_optim_rng.pt"):
        weight = torchfile.read(path).objects["model"]["embedding.word_embeddings.weight"]
        content = bytearray(path.read_bytes())
        content[weight.offset] ^= 1  # noticed when the weights are read, which is not now
        path.write_bytes(content)
    tracker.write_text("20")
    now[0] += 100
    looking.look()
    shutil.rmtree(tmp_path / "save/iter_0000020")  # looked at once
    looking.look()


@pytest.mark.parametrize(("nodes", "patience"), [(1, 5), (2, 60)])
def test_what_was_just_written_may_show_up_late(nodes, patience, left, tmp_path, now):
    shutil.copytree(left, tmp_path / "save")
    late = tmp_path / "save/iter_0000020/mp_rank_01/model_optim_rng.pt"
    os.replace(late, tmp_path / "late.pt")
    patient, lucky = (first_save.FirstSave(tmp_path / "save", nodes) for _ in range(2))
    for now[0] in (100.0, 100.0 + patience - 0.1):
        patient.look()
        lucky.look()
    now[0] = 100.0 + patience
    with pytest.raises(Problem, match="could not be read after it, so the job was ended now") as caught:
        patient.look()
    assert caught.value.where == late
    assert "the set of rank files is incomplete" in str(caught.value)
    os.replace(tmp_path / "late.pt", late)
    lucky.look()
