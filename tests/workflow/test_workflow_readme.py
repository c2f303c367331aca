"""Commands of README.md and README.zh.md in a fresh shell: cheap ones run, of the others scripts and flags are there."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from house import House
from places import ROOT, SCRIPTS
from readme import BOTH, commands

pytestmark = pytest.mark.slow

LINES = sorted({tuple(words) for text in BOTH for words in commands(text)})


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, in whose .venv is this test's interpreter."""
    house = House(tmp_path_factory.mktemp("readme"), ROOT / "config/config.yaml")
    shutil.copy2(ROOT / "Makefile", house.path)
    (house.path / ".venv").symlink_to(sys.prefix)
    return house.path


def fresh(checkout: Path, *words: str) -> str:
    """Run in a shell that knows nothing but the system's own commands."""
    done = subprocess.run(
        ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", f"HOME={checkout}", *words],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_command_of_the_readme(words: tuple[str, ...], checkout: Path):
    first, *rest = words
    if first == "make":
        assert fresh(checkout, "make", "--dry-run", *rest)
    elif first == ".venv/bin/snakemake":
        assert "Job stats" in fresh(checkout, first, "--dry-run", *rest)
    elif first == ".venv/bin/python":
        script, *flags = rest
        assert (ROOT / script).parent == SCRIPTS
        module = importlib.import_module(Path(script).stem)
        module.parser().parse_args(flags)
        assert "usage: " in fresh(checkout, first, script, "--help")
    elif first.startswith("bench_"):
        assert all(
            flag in (ROOT / "benchmarks" / first).read_text() for flag in rest if flag.startswith("--")
        )
    else:
        raise AssertionError(f"{first} is no command of ours")


@pytest.mark.parametrize(
    "target", ["tokenize", "hf2mcore", "finetune", "mcore2hf", "generate_base", "generate_tuned"]
)
def test_the_guides_scripts_are_targets(target: str, checkout: Path):
    assert all(f"`{target}`" in text or f" {target}`" in text for text in BOTH)
    assert target in fresh(checkout, ".venv/bin/snakemake", "--dry-run", target)


def test_the_way_from_a_bare_machine_goes_up_to_the_converted_weights(checkout: Path):
    """Its step 13: the options of `--configfile` took the targets for files."""
    text = (ROOT / "docs/ascend.md").read_text()
    (line,) = re.findall(r"^    (\.venv/bin/snakemake .*)$", text, re.MULTILINE)
    total = re.search(r"^total +(\d+)$", fresh(checkout, *line.split(), "--dry-run"), re.MULTILINE)
    assert f"`{total[1]} of {total[1]} steps (100%) done`" in text


def test_make_help_lists_targets(checkout: Path):
    shown = {line.split()[0] for line in fresh(checkout, "make", "help").splitlines()}
    assert {"run", "test", "plan", "doctor", "watch", "verify", "bench"} <= shown


def test_the_plan_of_the_guides_experiment(checkout: Path):
    """What README says `make plan` does, on a machine without an NPU."""
    said = fresh(
        checkout,
        ".venv/bin/python",
        "workflow/scripts/plan.py",
        "--configfile",
        "config/qwen2.5-math-7b.yaml",
    )
    assert "msrun" in said and "error[" not in said
