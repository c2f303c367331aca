"""The locked environment imports and works together; pip's own check does not notice what breaks here."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from places import ROOT, SCRIPTS

MODULES = """snakemake mindspore numpy pandas pyarrow.parquet transformers math_verify modelscope huggingface_hub
safetensors.numpy ml_dtypes jsonschema psutil matplotlib yaml rich jinja2 filelock gguf gigatoken isal.isal_zlib""".split()


@pytest.mark.mindspore
def test_every_locked_package_imports_in_one_process():
    code = "import " + ", ".join(MODULES) + "; mindspore.Tensor([1.0, 2.0]).reshape(-1).asnumpy()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Numpy init failed" not in done.stdout + done.stderr


def test_every_requirement_is_locked_with_hashes():
    for name in ("requirements", "requirements-test"):
        wanted = re.findall(r"^([A-Za-z0-9_.-]+)", (ROOT / f"envs/{name}.in").read_text(), re.MULTILINE)
        lock = (ROOT / f"envs/{name}.txt").read_text()
        locked = {
            m.lower().replace("_", "-") for m in re.findall(r"^([A-Za-z0-9_.-]+)==", lock, re.MULTILINE)
        }
        assert {w.lower().replace("_", "-") for w in wanted if not w.startswith("-")} <= locked
        assert lock.count("==") - lock.count("python_full_version ==") <= lock.count("--hash=sha256:")


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((SCRIPTS).glob("*.py")), ids=lambda p: p.name)
def test_help_answers_in_under_a_second(path):
    """CPU seconds, in one of three attempts: a heavy import at the top of a command costs more than that."""

    def children() -> float:
        used = os.times()
        return used.children_user + used.children_system

    def seconds() -> float:
        before = children()
        done = subprocess.run(
            [sys.executable, str(path), "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and "usage" in done.stdout, done.stderr
        return children() - before

    assert any(seconds() < 1.0 for _ in range(3))


def test_no_machine_path_or_registry_host_is_written_down():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    registry = "|".join(["py" + "pi.org", "python" + "hosted.org", "registry.npm" + "js", "deb.deb" + "ian"])
    pattern = re.compile(rf"{registry}|index-url", re.IGNORECASE)
    allowed = {"Makefile": ["--no-emit-index-url"], "tests/common/test_environment.py": ["index-url"]}
    for name in tracked:
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        for word in allowed.get(name, []):
            text = text.replace(word, "")
        assert not pattern.search(text), name
