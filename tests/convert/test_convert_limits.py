"""What cannot be converted ends in an error that names it: values, families, and a disk with no room."""

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from convert_parts import TO_HF, TO_MG, convert, make_model, tensors
from convert_refusals import TINY, has, refused
from places import SCRIPTS
from safetensors.numpy import save_file


def test_too_large_for_fp16(tmp_path):
    hf = make_model(tmp_path / "hf", dtype=np.float32)
    weights = tensors(hf)
    weights["model.norm.weight"][3] = 1e6
    save_file(weights, hf / "model.safetensors")
    has(
        refused(tmp_path, "--params-dtype", "fp16", load=hf),
        "too large",
        "model.norm.weight",
        "65504",
        "fp32",
    )


def test_unknown_families_and_features(tmp_path):
    for change, parts in [
        ({"model_type": "qwen3_moe"}, ["qwen3_moe", "qwen2 or qwen3", "CONTRIBUTING"]),
        ({"model_type": "llama", "attention_bias": True}, ["attention_bias"]),
        ({"quantization_config": {"bits": 4}}, ["quantization_config"]),
    ]:
        folder = tmp_path / change.get("model_type", "quantised")
        hf = make_model(folder)
        config = json.loads((hf / "config.json").read_text())
        (hf / "config.json").write_text(json.dumps(config | change))
        has(refused(tmp_path, load=hf), *parts)


def limit_files(size: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
def test_full_disk_in_the_middle_of_a_write(tmp_path):
    """A limit on a file's size stops pwrite as a full disk does, wherever the tests run."""
    size = ["--target-tensor-parallel-size", "2"]
    has(refused(tmp_path, *size, preexec_fn=limit_files(200_000)), "is full", "bytes", "--save-dir")
    convert(*TO_MG, "--load-dir", TINY, "--save-dir", tmp_path / "mg")
    out = {"base": TO_HF, "load": tmp_path / "mg", "preexec_fn": limit_files(200_000)}
    has(refused(tmp_path, "--hf-cfg-dir", TINY, **out), "is full")
    # what was there before stays whole
    before = {path: path.read_bytes() for path in (tmp_path / "mg").rglob("*") if path.is_file()}
    words = [*TO_MG, *size, "--load-dir", TINY, "--save-dir", tmp_path / "mg"]
    convert(*words, code=1, preexec_fn=limit_files(200_000))
    assert {path: path.read_bytes() for path in (tmp_path / "mg").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("kilobytes", "message"),
    [(400, "not enough free space"), (640, "is full")],  # 640: room for the rank files, not for the manifest
)
def test_small_file_system(tmp_path, kilobytes, message):
    """A real tmpfs, mounted in a name space of its own; where the kernel forbids that, a limit on file sizes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    words = [*TO_MG, "--target-tensor-parallel-size", "2", "--load-dir", TINY, "--save-dir", disk / "out"]
    line = " ".join(map(str, [sys.executable, SCRIPTS / "convert_ckpt.py", *words]))
    mount = f"mount -t tmpfs -o size={kilobytes}k none {disk}"
    command, options = ["unshare", "-rm", "sh", "-c"], {}
    if subprocess.run([*command, mount], capture_output=True).returncode:
        command, mount, message, options = (
            ["sh", "-c"],
            "true",
            "is full",
            {"preexec_fn": limit_files(200_000)},
        )
    script = f"{mount} && {line}; echo exit $? && find {disk} -type f"
    done = subprocess.run([*command, script], capture_output=True, text=True, **options)
    assert done.stdout.split() == ["exit", "1"], done
    has(done.stderr, message, "652,080 bytes" if kilobytes == 400 else "bytes", "--save-dir")
    assert "Traceback" not in done.stderr
