"""import_scripts.py as a command: its two streams, its status, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from commands import here
from shell_folders import (
    GUIDE,
    MATH,
    TUNE,
    lines,
    scripts,
)

from distillery.problems import Problem
from distillery.shell import importing


def command(*paths: Path | str) -> subprocess.CompletedProcess[str]:
    return here("import_scripts.py", *paths)


def test_the_command_writes_both_streams_whole_and_ends_with_the_errors_status():
    good, bad = command(*scripts(MATH)), command(*scripts(GUIDE))
    assert (good.returncode, bad.returncode) == (0, 1)
    assert bad.stdout == importing.together(scripts(GUIDE)).text
    found = [line for line in bad.stderr.splitlines() if line.startswith(("error[", "warning["))]
    assert found == [str(one) for one in importing.together(scripts(GUIDE)).findings]
    assert "the scripts have 13 errors" in bad.stderr
    assert f"no key: {TUNE}:51 | tee logs/tune.log" in good.stderr


def test_scripts_of_one_name_in_two_folders_are_told_apart(tmp_path: Path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tune.sh").write_text(
            "msrun posttrain_gpt.py --lr 1e-5 --ai-framework mindspore\n"
        )
    imported = importing.together([tmp_path / "one/tune.sh", tmp_path / "two/tune.sh"])
    assert lines(imported, "script-twice")[0].startswith("error[script-twice] one/tune.sh:1, two/tune.sh:1: ")
    assert str(tmp_path) not in imported.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"echo no program\n", "no line starts a program of MindSpeed-LLM"),
        (b"\xff\xfe\x00", "not a script"),
        (b"python inference.py 'open\n", "opened and never closed"),
        (None, "no such script"),
    ],
)
def test_what_is_no_script_is_refused_with_nothing_written(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "x.sh"
    if content is not None:
        path.write_bytes(content)
    done = command(path)
    assert done.returncode == 1 and words in done.stderr and done.stdout == ""
    with pytest.raises(Problem):
        importing.together([path])
