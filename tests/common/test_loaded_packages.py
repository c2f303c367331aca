"""The packages that a command noted beside its log: of those that are installed the loaded ones, in the versions that pip knows."""

import importlib.metadata
import subprocess
import sys

from places import SCRIPTS

from distillery import loaded_packages


def test_versions_are_those_that_the_installer_knows():
    found = loaded_packages.found({"numpy", "numpy.linalg", "yaml", "math_verify", "no_such_package", "json"})
    assert found.keys() == {"python", "numpy", "pyyaml", "math-verify"}
    for name in found.keys() - {"python"}:
        assert found[name] == importlib.metadata.version(name)


def test_a_command_notes_what_it_loaded_beside_its_log(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a")
    line = [
        sys.executable,
        str(SCRIPTS / "fetch_digest.py"),
        "--input",
        "a.bin",
        "--output",
        "a.sha256",
        "--log",
        "logs/a.log",
    ]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    noted = loaded_packages.read(tmp_path / "logs/a.log")
    assert noted["python"].startswith("3.") and "mindspore" not in noted  # it loads none
    note = loaded_packages.beside(tmp_path / "logs/a.log")
    for damaged in ("", "[]", "{"):
        note.write_text(damaged)
        assert loaded_packages.read(tmp_path / "logs/a.log") is None
