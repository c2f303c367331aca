"""Checkpoints that MSAdapter saved, MindSpore's stand-in for torch: real files, and whatever else training leaves."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import zipfile
from argparse import Namespace
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
from convert_parts import DATA, RESHARD, TO_HF, TO_MG, assert_same, convert, make_model, tensors, trained
from hypothesis import given, settings
from hypothesis import strategies as st
from lazy import Lazy
from standin_mindspeed import msadapter

from distillery.convert import states, torchfile, weight_sources
from distillery.convert.mcore_layout import Layout
from distillery.problems import Problem

torch = Lazy("torch")

pytestmark = pytest.mark.slow

REAL = DATA / "msadapter"
CASES = {"torch_plain": "torch", "torch_dtype": "torch", "msadapter_plain": "msadapter"}


def rank_file(case):
    return REAL / case / "iter_0001600/mp_rank_00/model_optim_rng.pt"


@pytest.mark.parametrize("case", CASES)
def test_real_files_convert_to_the_recorded_tensors(case, tmp_path):
    convert(*TO_HF, "--load-dir", REAL / case, "--hf-cfg-dir", REAL / "hf", "--save-dir", tmp_path / "hf")
    found = {
        name: [{"float32": "F32"}[str(value.dtype)], list(value.shape), hashlib.sha256(value).hexdigest()]
        for name, value in tensors(tmp_path / "hf").items()
    }
    assert found == json.loads((REAL / "tensors.json").read_text())


@pytest.mark.parametrize("case", CASES)
def test_the_standin_writes_the_real_files(case, tmp_path):
    """Its pickle from the same objects, byte for byte, in the same container."""
    with zipfile.ZipFile(rank_file(case)) as archive:
        real = [(info.filename, archive.read(info)) for info in archive.infolist()]
    objects = {sys.intern(key): value for key, value in torchfile.read(rank_file(case)).objects.items()}
    objects["args"] = Namespace(**vars(objects["args"]))
    model = {name: msadapter.Tensor(states.mapped(place)) for name, place in objects["model"].items()}
    objects["model"] = OrderedDict(model)
    if case == "torch_dtype":
        objects["args"].params_dtype = msadapter.BFloat(16)
        (rng,) = objects["rng_state"]
        rng["np_rng_state"] = np.random.RandomState(0).get_state()
        rng["torch_rng_state"] = msadapter.Tensor(np.frombuffer(dict(real)["archive/data/16"], np.uint8))
    msadapter.save(objects, tmp_path / "again.pt", CASES[case])
    with zipfile.ZipFile(tmp_path / "again.pt") as archive:
        assert [(info.filename, archive.read(info)) for info in archive.infolist()] == real


@pytest.mark.parametrize(
    ("tp", "pp", "dtype", "distributed", "spelling"),
    [
        (2, 1, ml_dtypes.bfloat16, True, "torch"),
        (1, 2, ml_dtypes.bfloat16, True, "msadapter"),
        (2, 1, ml_dtypes.bfloat16, False, "msadapter"),
        (2, 2, np.float16, False, "torch"),
        (1, 1, np.float32, True, "msadapter"),
    ],
)
def test_what_training_leaves_is_converted_proven_and_resharded(
    tp, pp, dtype, distributed, spelling, tmp_path
):
    model = make_model(tmp_path / "model", dtype=dtype)
    sizes = ["--target-tensor-parallel-size", tp, "--target-pipeline-parallel-size", pp]
    convert(*TO_MG, *sizes, "--load-dir", model, "--save-dir", tmp_path / "mg")
    left = trained(tmp_path / "mg", tmp_path / "left", spelling=spelling, distributed=distributed)
    assert len(list(left.glob("*/*/distrib_optim.pt"))) == (tp * pp if distributed else 0)
    convert(*TO_HF, "--load-dir", left, "--hf-cfg-dir", model, "--save-dir", tmp_path / "hf")
    assert_same(tensors(tmp_path / "hf"), tensors(model))
    said = convert("--hf-dir", model, "--mcore-dir", left, command="convert_verify.py")
    assert "tensors equal by sha256" in said
    other = ["--target-tensor-parallel-size", pp, "--target-pipeline-parallel-size", tp]
    convert(*RESHARD, *other, "--load-dir", left, "--save-dir", tmp_path / "resharded")
    convert("--hf-dir", model, "--mcore-dir", tmp_path / "resharded", command="convert_verify.py")


def test_optimizers_are_not_read(tmp_path):
    """Neither those in the rank's own file nor those beside it: a 7B model's take 100 GB."""
    model = make_model(tmp_path / "model")
    convert(*TO_MG, "--load-dir", model, "--save-dir", tmp_path / "mg")
    for distributed in (True, False):
        left = trained(tmp_path / "mg", tmp_path / f"{distributed}", distributed=distributed)
        source = weight_sources.open_mcore(left)
        checked = sum(size for held in source.storages.values() for _, size, _ in held)
        assert checked == source.tensor_bytes


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_records_elements_are_in_order_whatever_its_strides_say(data, tmp_path_factory):
    """Views of any kind, as `torch.chunk` makes them: MindSpore tells their strides and writes their elements."""
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    view = whole.transpose(data.draw(st.permutations(range(len(shape)))))
    for axis, size in enumerate(view.shape):
        start = data.draw(st.integers(0, size - 1))
        view = np.moveaxis(
            np.moveaxis(view, axis, 0)[start : data.draw(st.integers(start + 1, size))], 0, axis
        )
    path = tmp_path_factory.mktemp("view") / "one.pt"
    msadapter.save({"args": Namespace(), "model": {"weight": msadapter.Tensor(view)}}, path)
    stored = torchfile.read(path).objects["model"]["weight"]
    found = states.mapped(stored)
    assert found.shape == view.shape
    assert (found == view).all()


@pytest.mark.parametrize("padding", range(4))
def test_mapped_arrays_are_aligned(padding, tmp_path):
    """MSAdapter's container puts records anywhere; compiled code reads whole vectors."""
    path = tmp_path / "one.pt"
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    model = {"weight": msadapter.Tensor(values)}
    msadapter.save({"args": Namespace(note="x" * padding), "model": model}, path)
    found = states.mapped(torchfile.read(path).objects["model"]["weight"])
    assert found.flags.aligned
    assert (found == values).all()


# what a rebuilding function of the coat may be replaced with, in the real file
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        ("{0}._utils\n_rebuild_tensor_v2", "posix\nsystem"),
        ("{0}._utils\n_rebuild_tensor_v2", "builtins\neval"),
        ("{0}._utils\n_rebuild_tensor_v2", "{0}.hub\nload"),
        ("{0}._tensor\n_rebuild_from_type_v2", "builtins\nexec"),
        ("mindspore.common.tensor\nTensor", "subprocess\nPopen"),
        ("collections\nOrderedDict", "importlib\nimport_module"),
    ],
)
def test_a_hostile_pickle_in_the_same_dress_is_refused(case, name, hostile, tmp_path):
    old, new = (f"c{text.format(CASES[case])}\n".encode() for text in (name, hostile))
    folder = tmp_path / "mg/iter_0001600/mp_rank_00"
    folder.mkdir(parents=True)
    (tmp_path / "mg/latest_checkpointed_iteration.txt").write_text("1600")
    with (
        zipfile.ZipFile(rank_file(case)) as archive,
        zipfile.ZipFile(folder / "model_optim_rng.pt", "w") as made,
    ):
        for info in archive.infolist():
            content = archive.read(info)
            if info.filename.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            made.writestr(info.filename, content)
    words = ["--load-dir", tmp_path / "mg", "--hf-cfg-dir", REAL / "hf", "--save-dir", tmp_path / "hf"]
    said = convert(*TO_HF, *words, code=1)
    assert "refused, nothing was run" in said
    assert hostile.format(CASES[case]).replace("\n", ".") in said
    assert "do not trust this file" in said
    assert not (tmp_path / "hf").exists()


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_pickle_is_read_or_refused(data, tmp_path_factory):
    """Whatever a byte more or less makes of the real files: words for the user, no traceback and no code that is run."""
    case = data.draw(st.sampled_from(list(CASES)))
    with zipfile.ZipFile(rank_file(case)) as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist()}
    pickled = bytearray(content["archive/data.pkl"])
    at = data.draw(st.integers(0, len(pickled) - 1))
    pickled[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    path = tmp_path_factory.mktemp("damaged") / "one.pt"
    with zipfile.ZipFile(path, "w") as made:
        for name, held in content.items():
            made.writestr(name, bytes(pickled) if name.endswith("data.pkl") else held)
    with contextlib.suppress(Problem):
        torchfile.read(path)


class Device:
    """A tensor on an NPU, as torch_npu reduces it."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        module = type(sys)("torch_npu.utils.storage")
        rebuild = type("_rebuild_npu_tensor", (), {"__module__": module.__name__})
        module._rebuild_npu_tensor = rebuild
        sys.modules[module.__name__] = sys.modules["torch_npu"] = module
        _, arguments = self.tensor.__reduce_ex__(2)
        return rebuild, (*arguments[:6], 2)


def test_tensors_of_torch_npu_are_read(tmp_path, monkeypatch):
    for name in ("torch_npu", "torch_npu.utils.storage"):
        monkeypatch.setitem(sys.modules, name, None)
    wanted = torch.arange(6.0).reshape(2, 3)
    torch.save({"args": Namespace(), "model": {"weight": Device(wanted)}}, tmp_path / "one.pt")
    found = states.mapped(torchfile.read(tmp_path / "one.pt").objects["model"]["weight"])
    assert (found == wanted.numpy()).all()


def test_rebuilt_things_that_are_no_plain_tensors_are_not_weights(tmp_path):
    sparse = torch.eye(2).to_sparse()
    sparse.note = "state of its own, hence the coat"
    torch.save({"args": Namespace(), "model": {}, "optimizer": sparse}, tmp_path / "beside.pt")
    assert torchfile.read(tmp_path / "beside.pt").objects["model"] == {}
    torch.save({"args": Namespace(), "model": {"weight": sparse}}, tmp_path / "weight.pt")
    with pytest.raises(Problem, match="cannot be converted"):
        torchfile.read(tmp_path / "weight.pt")


def test_any_layout_is_merged_from_such_files(tmp_path):
    model = make_model(tmp_path / "model", num_hidden_layers=3)
    sizes = [
        "--target-tensor-parallel-size",
        2,
        "--target-pipeline-parallel-size",
        2,
        "--num-layer-list",
        "1,2",
    ]
    convert(*TO_MG, *sizes, "--load-dir", model, "--save-dir", tmp_path / "mg")
    left = trained(tmp_path / "mg", tmp_path / "left")
    for layout in (Layout(), Layout(2, 1)):
        ours, theirs = (states.load_state(path, layout) for path in (model, left))
        assert ours.keys() == theirs.keys()
        assert all((ours[name] == theirs[name]).all() for name in ours)
        assert all(array.flags.aligned for array in theirs.values())
