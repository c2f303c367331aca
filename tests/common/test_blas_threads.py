"""numpy's BLAS has one thread in our commands, and as many as it was given in what they start of others."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from places import SCRIPTS

from distillery import blas_threads
from distillery.launch import environment

# a command that imports numpy, and says how many threads that started
PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
from distillery import command

def main(args):
    before = len(os.listdir("/proc/self/task"))
    import numpy
    print(len(os.listdir("/proc/self/task")) - before)

command.run(command.parser(None), main)
"""


@pytest.mark.parametrize("given, more", [(None, 0), ("2", 1)])
def test_a_command_has_one_thread_unless_its_user_says_more(given, more):
    wanted = {name: value for name, value in os.environ.items() if name != blas_threads.VARIABLE}
    if given:
        wanted[blas_threads.VARIABLE] = given
    line = [sys.executable, "-c", PROGRAM, SCRIPTS]
    assert int(subprocess.check_output(line, env=wanted, text=True)) == more


@pytest.fixture
def unset(monkeypatch):
    monkeypatch.delenv(blas_threads.VARIABLE, raising=False)
    monkeypatch.setattr(blas_threads, "_set_here", set())
    yield
    os.environ.pop(blas_threads.VARIABLE, None)


@pytest.mark.parametrize("scripts", [[], ["set_env.sh"]])
def test_programs_of_others_do_not_inherit_what_a_command_set(unset, tmp_path, monkeypatch, scripts):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set_env.sh").write_text("true\n")
    blas_threads.limit()
    assert os.environ[blas_threads.VARIABLE] == "1"
    assert blas_threads.VARIABLE not in environment.prepared(scripts, {}, sys.executable)


def test_they_have_what_the_user_a_script_or_the_configuration_says(unset, tmp_path, monkeypatch):
    script = tmp_path / "set_env.sh"
    script.write_text(f"export {blas_threads.VARIABLE}=3\n")
    monkeypatch.setenv(blas_threads.VARIABLE, "1")
    blas_threads.limit()
    found = [
        environment.prepared(*how, sys.executable)[blas_threads.VARIABLE]
        for how in (([], {}), ([str(script)], {}), ([], {blas_threads.VARIABLE: "4"}))
    ]
    assert found == ["1", "3", "4"]
