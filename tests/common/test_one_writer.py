"""Two writers of one output: the second waits or says so, neither loses a file, and the dead hinder nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from places import SCRIPTS

from distillery import files, json_files, one_writer
from distillery.fetch import part
from distillery.fetch.listing import RemoteFile
from distillery.generate.journal import Journal
from distillery.problems import Problem
from distillery.tokenize.dataset_files import DatasetFiles

WRITER = """
import sys, time; from pathlib import Path; sys.path.insert(0, {scripts!r})
from distillery import files
with files.{kind}(Path({target!r})) as partial:
    ({write}); print("holds", flush=True); time.sleep({seconds})
"""
KINDS = {
    "atomic": "partial.write_text('theirs')",
    "atomic_directory": "(partial / 'a').write_text('theirs')",
}


def writer(kind: str, target: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that writes `target` and holds it for a while."""
    text = WRITER.format(
        scripts=str(SCRIPTS), kind=kind, target=str(target), write=KINDS[kind], seconds=seconds
    )
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "holds\n"
    return process


def content(target: Path) -> str:
    return (target / "a" if target.is_dir() else target).read_text()


def write(kind: str, target: Path) -> None:
    with getattr(files, kind)(target) as partial:
        (partial / "a" if kind == "atomic_directory" else partial).write_text("ours")


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_waits_for_the_first(tmp_path, kind):
    first = writer(kind, tmp_path / "t", seconds=0.5)
    write(kind, tmp_path / "t")
    assert first.wait() == 0
    assert content(tmp_path / "t") == "ours"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_gives_up_with_a_taught_error(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(one_writer, "PATIENCE", 0.2)
    first = writer(kind, tmp_path / "t", seconds=60)
    try:
        with pytest.raises(Problem, match="another process is writing this"):
            write(kind, tmp_path / "t")
        assert not (tmp_path / "t").exists()
    finally:
        first.kill()


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_writer_blocks_nobody_and_its_leavings_go(tmp_path, kind):
    first = writer(kind, tmp_path / "t", seconds=60)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(list(tmp_path.iterdir())) == 2  # its lock and its unfinished file
    write(kind, tmp_path / "t")
    assert [path.name for path in tmp_path.iterdir()] == ["t"] and content(tmp_path / "t") == "ours"


@pytest.mark.faults
@pytest.mark.parametrize("kind", KINDS)
def test_a_writer_that_was_stopped_and_wakes_up_harms_nothing(tmp_path, kind):
    """Snakemake was killed and unlocked, the job only slept: the rerun is told, then the sleeper ends well."""
    first = writer(kind, tmp_path / "t", seconds=0.5)
    first.send_signal(signal.SIGSTOP)
    with pytest.raises(Problem, match="another process"), one_writer.of(tmp_path / "t", 0.2):
        pass
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert content(tmp_path / "t") == "theirs" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "error, done", [(OSError(5, "Input/output error"), False), (KeyboardInterrupt(), True)]
)
@pytest.mark.parametrize("rename", [1, 2])
def test_the_old_directory_comes_back_unless_the_new_one_has_taken_its_place(
    tmp_path, monkeypatch, rename, error, done
):
    (tmp_path / "t").mkdir()
    (tmp_path / "t/a").write_text("old")
    real, count = os.replace, []

    def replace(source, target):
        count.append(source)
        if len(count) != rename or done:
            real(source, target)
        if len(count) == rename:
            raise error

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(type(error)):
        write("atomic_directory", tmp_path / "t")
    monkeypatch.undo()
    came = done and rename == 2
    assert content(tmp_path / "t") == ("ours" if came else "old")
    write("atomic_directory", tmp_path / "t")
    assert content(tmp_path / "t") == "ours" and len(list(tmp_path.iterdir())) == 1


def test_an_old_directory_comes_back_after_a_kill_between_the_two_renames(tmp_path):
    (tmp_path / ".t.old").mkdir()
    (tmp_path / ".t.old" / "a").write_text("old")
    with pytest.raises(RuntimeError), files.atomic_directory(tmp_path / "t"):
        raise RuntimeError
    assert content(tmp_path / "t") == "old" and len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def without_locks(monkeypatch):
    def flock(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(one_writer.fcntl, "flock", flock)


def test_a_disk_without_locks_is_said(tmp_path, without_locks, capsys):
    write("atomic", tmp_path / "t")
    assert "has no locks: two writers of t would not be told" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_answers_are_written_on_a_disk_without_locks(tmp_path, without_locks, capsys):
    with Journal(tmp_path / "t", "identity") as journal:
        journal.add({"id": "a", "sample": 0})
        journal.finish([("a", 0)])
    assert "has no locks: two writers of t would not be told" in capsys.readouterr().err
    assert content(tmp_path / "t") == '{"id": "a", "sample": 0}\n'


def test_files_are_fetched_to_a_disk_without_locks(tmp_path, without_locks, capsys):
    with part.opened(RemoteFile("t"), tmp_path / "t", lambda count: None) as begun:
        begun.write(b"theirs")
        begun.finish()
    assert "has no locks: two writers of t would not be told" in capsys.readouterr().err
    assert content(tmp_path / "t") == "theirs"


def test_twenty_writers_lose_nothing(tmp_path):
    text = (
        f"import sys; from pathlib import Path; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from distillery import files\n"
        "for i in range(20): files.write_json(Path(sys.argv[1]), {'writer': sys.argv[2]})\n"
    )
    line = [sys.executable, "-c", text, str(tmp_path / "t.json")]
    processes = [subprocess.Popen([*line, str(number)]) for number in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    assert json_files.read(tmp_path / "t.json")["writer"] in "0123"


def test_a_dataset_that_is_being_written_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(one_writer, "PATIENCE", 0.2)
    first, second = DatasetFiles(tmp_path / "d"), DatasetFiles(tmp_path / "d")
    with first.writing():
        hidden = tmp_path / f".{first.rows.name}.partial"
        hidden.write_text("half")
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool, pytest.raises(Problem, match="another process is writing this"):
            pool.submit(second.writing().__enter__).result()
        assert hidden.exists() and time.monotonic() - began < 5
    assert not list(tmp_path.iterdir())


def test_who_holds_an_output_holds_it_within_and_other_threads_do_not(tmp_path):
    with one_writer.of(tmp_path / "t"), one_writer.of(tmp_path / "t"):
        write("atomic", tmp_path / "t")
        with ThreadPoolExecutor(1) as pool, pytest.raises(Problem, match="another process"):
            pool.submit(one_writer.of(tmp_path / "t", 0.1).__enter__).result()
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


def test_an_unfinished_file_that_became_the_output_meanwhile_is_left_alone(tmp_path, monkeypatch):
    """The second opened the part before the first gave it its name, and locked it after: it would have emptied the output."""
    real, first = os.open, part.Part(RemoteFile("t"), tmp_path / "t", lambda count: None)
    first.write(b"theirs")

    def opened(path, *more):
        descriptor = real(path, *more)
        if Path(path) == first.path and not (tmp_path / "t").exists():
            first.finish()
            first.close()
        return descriptor

    monkeypatch.setattr(os, "open", opened)
    with part.opened(RemoteFile("t"), tmp_path / "t", lambda count: None) as second:
        assert content(tmp_path / "t") == "theirs" and second.size() == 0


def test_a_scratch_folder_is_ones_own_and_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(one_writer, "PATIENCE", 0.2)
    (tmp_path / ".t.scratch").mkdir()
    (tmp_path / ".t.scratch" / "left").touch()
    with files.scratch(tmp_path / "t") as folder:
        assert not list(folder.iterdir())
        with ThreadPoolExecutor(1) as pool, pytest.raises(Problem, match="another process"):
            pool.submit(files.scratch(tmp_path / "t").__enter__).result()
        assert folder.is_dir()
        write("atomic", tmp_path / "t")
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
