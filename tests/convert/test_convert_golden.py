"""Rank files tensor by tensor as the reference writes them, read by torch; and back bit for bit."""

from __future__ import annotations

import hashlib
import json
import zipfile
from argparse import Namespace

import pytest
from convert_parts import DATA, HF, TO_HF, TO_MG, assert_same, convert, tensors
from lazy import Lazy

torch = Lazy("torch")

pytestmark = pytest.mark.slow

CASES = {
    "v1_tiny_tp1pp1": ("tiny", 1, 1, []),
    "v1_tiny_tp2pp1": ("tiny", 2, 1, []),
    "v1_tiny_tp1pp2": ("tiny", 1, 2, []),
    "v1_tiny_tp2pp2_nll": ("tiny", 2, 2, ["--num-layer-list", "1,3"]),
    "v1_tied_tp2pp1": ("tiny_tied", 2, 1, []),
    "v1_v1001_tp2": ("tiny_v1001", 2, 1, []),
    "v1_noop_pp2": ("tiny", 1, 2, ["--noop-layers", "1,5"]),
}


@pytest.fixture(scope="module", params=CASES)
def converted(request, tmp_path_factory):
    model, tp, pp, extra = CASES[request.param]
    save = tmp_path_factory.mktemp(request.param) / "mcore"
    sizes = ["--target-tensor-parallel-size", tp, "--target-pipeline-parallel-size", pp, *extra]
    convert(
        *TO_MG,
        "--model-type",
        "GPT",
        "--add-qkv-bias",
        "--model-type-hf",
        "llama2",
        "--params-dtype",
        "bf16",
        *sizes,
        "--load-dir",
        HF / model,
        "--save-dir",
        save,
    )
    return request.param, HF / model, save


def digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(torch.int16).numpy().tobytes()).hexdigest()


def test_rank_files_equal_the_references(converted):
    name, _, save = converted
    golden = json.loads((DATA / "manifest" / f"{name}.json").read_text())
    assert (save / "latest_checkpointed_iteration.txt").read_bytes() == golden["tracker"].encode()
    files = {str(path.relative_to(save)): path for path in save.glob("iter_*/*/*")}
    assert sorted(files) == sorted(golden["files"])
    for file, wanted in golden["files"].items():
        for options in ({}, {"mmap": True}):
            found = torch.load(files[file], weights_only=False, **options)
            assert list(found) == wanted["top_keys"]
            assert (found["checkpoint_version"], found["iteration"]) == (3.0, 1)
            genuine = {k: v for k, v in wanted["model"].items() if not k.endswith("_extra_state")}
            assert [[k, list(v.shape)] for k, v in found["model"].items()] == [
                [k, v[0]] for k, v in genuine.items()
            ]
            for tensor, (_, dtype, sha) in genuine.items():
                value = found["model"][tensor]
                assert str(value.dtype) == f"torch.{dtype}"
                assert value.is_contiguous()
                assert value.storage_offset() == 0
                assert digest(value) == sha, tensor
        with torch.serialization.safe_globals([Namespace]):
            assert torch.load(files[file], weights_only=True).keys() == found.keys()


def test_container_is_an_aligned_stored_zip(converted):
    for path in converted[2].glob("iter_*/*/*"):
        with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
            assert archive.testzip() is None
            for info in archive.infolist():
                assert info.compress_type == zipfile.ZIP_STORED
                raw.seek(info.header_offset + 26)
                name, extra = (int.from_bytes(raw.read(2), "little") for _ in range(2))
                assert (info.header_offset + 30 + name + extra) % 64 == 0, info.filename


def test_back_to_hugging_face_bit_for_bit(converted, tmp_path):
    _, original, save = converted
    convert(*TO_HF, "--load-dir", save, "--hf-cfg-dir", original, "--save-dir", tmp_path / "hf")
    assert_same(tensors(tmp_path / "hf"), tensors(original))
    assert (tmp_path / "hf" / "config.json").read_bytes() == (original / "config.json").read_bytes()
