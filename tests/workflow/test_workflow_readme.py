"""Commands of README.md and README.zh.md in a fresh shell: cheap ones run, of the others scripts and flags are there."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from house import House
from places import ROOT, SCRIPTS
from readme import BOTH, commands

from distillery.fetch import arithmetic, stories
from distillery.serving import hand_over

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


@cache
def helped(checkout: Path, script: str) -> str:
    """What a script says of itself; several lines call the same one."""
    return fresh(checkout, ".venv/bin/python", script, "--help")


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
        assert "usage: " in helped(checkout, script)
    elif first.startswith("bench_"):
        assert all(
            flag in (ROOT / "benchmarks" / first).read_text() for flag in rest if flag.startswith("--")
        )
    elif first == "echo":
        assert json.loads(rest[0])["prompt"]
    else:
        raise AssertionError(f"{first} is no command of ours")


def test_the_questions_asked_are_of_those_that_the_model_was_taught():
    raw = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    made = raw["datasets"]["arithmetic"]["source"]["generator"]
    taught = {
        one.problem
        for shard in range(made["shards"])
        for one in arithmetic.training_examples(made["seed"], shard, made["rows_per_shard"])
    }
    asked = {
        json.loads(words[1])["prompt"] if words[0] == "echo" else words[words.index("--prompt") + 1]
        for words in LINES
        if words[0] == "echo" or "--prompt" in words
    }
    raw = yaml.safe_load((ROOT / "config/smollm2-135m.yaml").read_text())
    made = raw["datasets"]["stories"]["source"]["generator"]
    told = {one.problem for one in stories.training_examples(made["seed"], 0, made["rows_per_shard"])}
    assert len(asked & taught) == 2 and len(asked & told) == 1 and asked <= taught | told
    assert (
        json.loads(shlex.split(hand_over.question("http://x", "m"))[-1])["messages"][0]["content"]
        in asked & taught
    )


def test_another_python_is_told_which_to_take(checkout: Path):
    """One without packages, as the system's is."""
    for script, package in (("plan.py", "yaml"), ("preprocess_data.py", "yaml"), ("verify.py", "yaml")):
        done = subprocess.run(
            [sys.executable, "-S", f"workflow/scripts/{script}", "--configfile", "a b.yaml"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1 and "defect" not in done.stderr and "Traceback" not in done.stderr
        assert f"found:  no module named {package}" in done.stderr
        assert f".venv/bin/python workflow/scripts/{script} --configfile 'a b.yaml'" in done.stderr
    # one that has some: told when a package is missed
    (checkout / "some").mkdir()
    (checkout / "some/yaml.py").write_text("class SafeLoader: pass\n")
    done = subprocess.run(
        [sys.executable, "-S", "workflow/scripts/plan.py", "--configfile", "config/config.yaml"],
        cwd=checkout,
        env={"PYTHONPATH": "some"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "this Python lacks a package" in done.stderr, done.stderr
    assert "defect" not in done.stderr


def test_values_of_make_stay_words(checkout: Path):
    shown = fresh(checkout, "make", "--dry-run", "plan", "CONFIG=a b'c.yaml")
    assert shlex.split(shown.splitlines()[-1])[-2:] == ["--configfile", "a b'c.yaml"]
    shown = fresh(checkout, "make", "--dry-run", "new", "NAME=a", "DATA=my rows.jsonl")
    assert "my rows.jsonl" in shlex.split(shown.replace("\\\n", " "))


@pytest.mark.parametrize(
    "text", ["a$b", "$(shell touch CANARY)x", "2; touch CANARY #", "$$(touch CANARY)'\""]
)
def test_a_value_of_make_is_neither_makes_nor_a_shells(tmp_path: Path, text: str):
    """`a$b.yaml` was read as `a.yaml`; CORES and WORKERS were no words. Programs only say how they were called."""
    shutil.copy2(ROOT / "Makefile", tmp_path)
    (tmp_path / "envs").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / "tests/support").mkdir(parents=True)
    for one in (
        ".venv/bin/python",
        ".venv/bin/snakemake",
        ".venv/bin/pytest",
        "tests/support/system_packages",
    ):
        (tmp_path / one).write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" >> calls\n")
        (tmp_path / one).chmod(0o755)
    for lock, made in {"": "run", "-test": "test", "-slurm": "clusters"}.items():
        (tmp_path / f"envs/requirements{lock}.txt").touch()
        (tmp_path / f".venv/{made}.lock").touch()
    names = "CONFIG EXPERIMENT BESIDE NAME DATA MODEL PROBLEMS SERVER CORES WORKERS KEEP".split()
    targets = "run sizes clean audit compare runs plan new serve doctor verify faults lock".split()
    fresh(tmp_path, "make", *targets, *(f"{name}={text}" for name in names))
    words = (tmp_path / "calls").read_text().split("\0")
    after = {word: words[at + 1] for at, word in enumerate(words[:-1]) if word.startswith("-")}
    flags = "--configfile --experiment --beside --name --data --model --problems --python --cores -n".split()
    assert {flag: after[flag] for flag in flags} == dict.fromkeys(flags, text)
    assert after["--keep"] == text.split()[0]  # several files, with blanks in between
    assert not (tmp_path / "CANARY").exists()


def test_the_guides_scripts_are_targets(checkout: Path):
    targets = ["tokenize", "hf2mcore", "finetune", "mcore2hf", "generate_base", "generate_tuned"]
    for target in targets:
        assert all(f"`{target}`" in text or f" {target}`" in text for text in BOTH), target
    jobs = fresh(checkout, ".venv/bin/snakemake", "--dry-run", *targets)
    assert [re.findall(rf"^{target} +(\d+)$", jobs, re.MULTILINE)[:1] for target in targets] == [["1"]] * 6


def test_the_way_from_a_bare_machine_goes_up_to_the_converted_weights(checkout: Path):
    """Its step 13: the options of `--configfile` took the targets for files."""
    text = (ROOT / "docs/ascend.md").read_text()
    (line,) = re.findall(r"^    (\.venv/bin/snakemake .*)$", text, re.MULTILINE)
    total = re.search(r"^total +(\d+)$", fresh(checkout, *line.split(), "--dry-run"), re.MULTILINE)
    assert f"`{total[1]} of {total[1]} steps (100%) done`" in text


def test_make_help_lists_targets(checkout: Path):
    shown = {line.split()[0] for line in fresh(checkout, "make", "help").splitlines()}
    assert {"run", "test", "plan", "doctor", "watch", "verify", "bench"} <= shown


def test_a_touched_lock_installs_nothing_and_another_does(tmp_path: Path):
    """Of make's own rules, with programs that only say that they were called."""
    shutil.copy2(ROOT / "Makefile", tmp_path)
    (tmp_path / "envs").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in (".venv/bin/python", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\necho called >> calls\n")
        (tmp_path / name).chmod(0o755)
    lock, calls = tmp_path / "envs/requirements.txt", tmp_path / "calls"

    def made(text: str) -> int:
        lock.write_text(text)
        later = (
            (tmp_path / ".venv/run.lock").stat().st_mtime + 5 if (tmp_path / ".venv/run.lock").exists() else 1
        )
        os.utime(lock, (later, later))
        calls.unlink(missing_ok=True)
        fresh(tmp_path, "make", "setup", f"PYTHON={tmp_path / 'python3'}")
        return calls.read_text().count("called") if calls.exists() else 0

    assert [made("a"), made("a"), made("b"), made("b")] == [2, 0, 2, 0]
