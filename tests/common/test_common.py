"""The common rooms: taught errors, exit codes, whole files, digests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import SCRIPTS

from distillery import files, json_files, provenance
from distillery.problems import Problem

# what is printed waits in a buffer, as it does for users
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
COMMAND = """
    import argparse, sys
    sys.path.insert(0, {scripts!r})
    from distillery import command
    from distillery.problems import Interrupted, Problem, UsageProblem
    def main(args):
        print("on standard output")
        {body}
    command.run(argparse.ArgumentParser(prog="x.py"), main)
"""


def run(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    text = textwrap.dedent(COMMAND).format(scripts=str(SCRIPTS), body=body)
    return subprocess.run(
        [sys.executable, "-c", text, *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )


@pytest.mark.parametrize(
    ("body", "arguments", "code", "words"),
    [
        ("pass", [], 0, ""),
        ("pass", ["--nonsense"], 2, "unrecognized arguments: --nonsense"),
        ("raise UsageProblem('flags clash')", [], 2, "x.py: error: flags clash"),
        ("raise Interrupted('stopped at step 3')", [], 3, "x.py: error: stopped at step 3"),
        ("raise Problem('bad row', where='a.jsonl, row 3', fix='mend it')", [], 1, "where:  a.jsonl, row 3"),
        ("1 / 0", [], 1, "ZeroDivisionError"),
        ("1 / 0", [], 1, "x.py: error: the above is a defect of this command"),
        (
            "open('/no/such')",
            [],
            1,
            "x.py: error: the system refused: No such file or directory\n  where:  /no/such",
        ),
        ("raise OSError(28, 'No space left on device', '/a')", [], 1, "fix:    make room on that disk"),
        ("raise MemoryError", [], 1, "x.py: error: there is not enough memory"),
        ("raise type('PanicException', (BaseException,), {})('range')", [], 1, "found:  range"),
        ("raise Problem('from \\x1b[2J a model')", [], 1, "error: from \\x1b[2J a model"),
        ("raise Problem('half \\udcff')", [], 1, "error: half \\udcff"),
        ("raise Problem('back\\u202ewards')", [], 1, "error: back\\u202ewards"),
    ],
)
def test_exit_codes_and_messages(body, arguments, code, words):
    done = run(body, *arguments)
    assert done.returncode == code
    assert words in done.stderr


@pytest.mark.faults
def test_a_full_disk_is_told_on_the_terminal():
    """The log lies on the disk that is full: before, ten commands ended without a word."""
    done = run("raise Problem('too small')", "--log", "/dev/full")
    assert done.returncode == 1 and "x.py: error: too small" in done.stderr
    done = run("pass", "--log", "/dev/full")
    assert done.returncode == 1 and "No space left on device" in done.stderr
    done = run("pass", "--log", "/dev/null/x.log")
    assert done.returncode == 1 and "x.py: error: the system refused: " in done.stderr


@pytest.mark.faults
def test_a_log_that_may_not_grow_is_told_on_the_terminal(tmp_path):
    """A real file that takes so many bytes and no more, as on a full disk or in an empty quota."""
    begun = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9)); print('x' * 99); "
    done = run(f"{begun}raise Problem('too small')", "--log", str(tmp_path / "x.log"))
    assert done.returncode == 1 and "x.py: error: too small" in done.stderr
    done = run(f"{begun}sys.stdout.flush()", "--log", str(tmp_path / "y.log"))
    assert done.returncode == 1 and "fix:    raise the limit of file sizes" in done.stderr
    assert "Traceback" not in done.stderr and (tmp_path / "y.log").stat().st_size == 9


def test_a_reader_that_goes_away_is_no_defect():
    text = textwrap.dedent(COMMAND).format(scripts=str(SCRIPTS), body="print('x' * 10**6)")
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | head -c 1', sys.executable, text],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Exception ignored" not in done.stderr


def test_a_log_takes_all_output_and_errors_still_reach_the_terminal(tmp_path):
    log = tmp_path / "deep" / "x.log"
    done = run("import os; os.write(1, b'from C\\n'); raise Problem('too small')", "--log", str(log))
    assert done.returncode == 1 and done.stdout == "" and "too small" in done.stderr
    assert (
        "on standard output" in log.read_text()
        and "from C" in log.read_text()
        and "too small" in log.read_text()
    )


def test_a_failed_write_leaves_the_old_file_and_no_partial(tmp_path):
    target = tmp_path / "a.json"
    files.write_json(target, {"old": 1})
    with pytest.raises(OSError, match="full"), files.atomic(target) as partial:
        partial.write_text("half")
        raise OSError("disk full")
    assert json_files.read(target) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_directory_appears_whole_and_replaces_the_old_one(tmp_path):
    target = tmp_path / "d"
    for content in ("one", "two"):
        with files.atomic_directory(target) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / "x").write_text(content)
    assert (target / "sub" / "x").read_text() == "two"
    with pytest.raises(Problem), files.atomic_directory(target) as partial:
        (partial / "x").write_text("half")
        raise Problem("no")
    assert [p.name for p in tmp_path.iterdir()] == ["d"] and [p.name for p in target.iterdir()] == ["sub"]


@pytest.mark.faults
def test_what_a_killed_writer_leaves_does_not_hinder_the_next(tmp_path):
    text = textwrap.dedent(f"""
        import sys, time; sys.path.insert(0, {str(SCRIPTS)!r})
        from pathlib import Path
        from distillery import files
        with files.atomic_directory(Path({str(tmp_path / "d")!r})) as partial:
            (partial / "x").write_text("half"); print("writing", flush=True); time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        os.kill(writer.pid, signal.SIGKILL)
    assert not (tmp_path / "d").exists()
    with files.atomic_directory(tmp_path / "d") as partial:
        (partial / "y").write_text("whole")
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["y"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_a_digest_ignores_key_order_and_nothing_else(value):
    backwards = dict(reversed(value.items()))
    assert provenance.digest(value) == provenance.digest(backwards)
    assert provenance.digest({**value, "another key": 1}) != provenance.digest(value)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in place of workflow/scripts, and a function to edit it."""
    sources = {
        "tool.py": '"""Doc."""\nfrom lib import helper\n\ndef main():\n    from lib.late import x\n    return helper.f()\n',
        "lib/__init__.py": "",
        "lib/helper.py": "from . import deep\n\ndef f():\n    return deep.g\n",
        "lib/deep.py": "g = 1\n",
        "lib/late.py": "x = 2\n",
        "lib/other.py": "y = 3\n",
    }
    monkeypatch.setattr(provenance, "SCRIPTS", tmp_path)

    def forget() -> None:
        provenance._parsed.cache_clear()
        provenance._sources.cache_clear()

    def write(name: str, text: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        forget()
        return provenance.code("tool")

    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    yield sources, write
    forget()


def test_code_digest_follows_imports_and_skips_comments(package):
    sources, write = package
    original = write("tool.py", sources["tool.py"])
    assert write("tool.py", "# comment\n" + sources["tool.py"].replace("Doc.", "Other doc.")) == original
    assert write("tool.py", sources["tool.py"]) == original
    for name in ("lib/helper.py", "lib/deep.py", "lib/late.py", "lib/__init__.py"):
        assert write(name, sources[name] + "\nz = 9\n") != original, name
        assert write(name, sources[name]) == original
    assert write("lib/other.py", "y = 4\n") == original


def test_every_command_stays_inside_the_library():
    """Commands parse, call and print: each is short, and imports nothing heavy at its top."""
    heavy = {
        "mindspore",
        "transformers",
        "numpy",
        "pyarrow",
        "pandas",
        "torch",
        "matplotlib",
        "scipy",
        "sympy",
    }
    for path in sorted((SCRIPTS).glob("*.py")):
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "from ")):
                assert line.split()[1].partition(".")[0] not in heavy, f"{path.name}: {line}"
