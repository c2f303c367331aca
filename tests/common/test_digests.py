"""What is written with a digest is read with it: a flip, a cut and an emptied file are named, each kind of record is known."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import SCRIPTS

from distillery import digests, files, one_writer
from distillery.problems import Problem

ROWS = [{"id": "a", "text": "one"}, {"id": "b", "text": "tw\u2028o"}]
DAMAGES = {
    "flipped": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "cut": lambda data: data[:-1],
    "emptied": lambda data: b"",
}


def written(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    digests.write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS))
    return path


def test_what_was_written_is_read(tmp_path):
    path = written(tmp_path)
    assert digests.json_lines(path) == ROWS
    assert digests.read_bytes(path) == path.read_bytes()
    digests.check_file(path)
    digests.write_json(tmp_path / "one.json", {"a": 1})
    assert digests.read_json(tmp_path / "one.json") == {"a": 1}


def test_the_record_is_what_sha256sum_checks(tmp_path):
    path = written(tmp_path)
    line = ["sha256sum", "--check", digests.beside(path).name]
    assert subprocess.run(line, cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.faults
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", [digests.json_lines, digests.read_bytes, digests.check_file])
def test_what_was_changed_is_named_with_the_command_for_it(tmp_path, monkeypatch, damage, reader):
    path = written(tmp_path)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="whose digest lies beside it") as caught:
        reader(path)
    assert str(path) in str(caught.value) and "--forcerun rows.jsonl" in str(caught.value)


def test_a_file_that_is_written_again_has_its_new_digest(tmp_path):
    path = written(tmp_path)
    digests.write_text(path, "other\n")
    assert digests.read_bytes(path) == b"other\n"


def test_of_a_file_without_a_record_nothing_is_said(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n')
    assert digests.wanted(tmp_path / "a.jsonl") is None
    assert digests.json_lines(tmp_path / "a.jsonl") == [{"id": 1}]


@pytest.mark.parametrize(
    "record", ["a.bin.sha256", "batch.sha256", "a.bin.manifest.json", "manifest.json", ".a.bin.sha256"]
)
def test_every_kind_of_record_is_known(tmp_path, record):
    path, listing = tmp_path / "a.bin", tmp_path / record
    path.write_bytes(b"0" * 100)
    if record.endswith(".json"):
        files.write_json(listing, {"files": digests.entries(tmp_path, ["a.bin"])})
    else:
        listing.write_text(f"{files.sha256(path)}  a.bin\n")
    digests.check_file(path)
    path.write_bytes(b"0" * 99 + b"1")
    with pytest.raises(Problem, match="whose digest") as caught:
        digests.check_file(path)
    assert f"as {listing} has it" in str(caught.value)


def test_a_file_of_a_directory_is_made_again_with_all_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rank = Path("train/iter_0000004/mp_rank_00/model_optim_rng.pt")
    rank.parent.mkdir(parents=True)
    assert f"--forcerun {rank} " in digests.again(rank)
    Path("train/done.json").touch()
    assert "--forcerun train/done.json " in digests.again(rank)


WRITER = """
import random, sys, time; from pathlib import Path; sys.path.insert(0, {scripts!r})
from distillery import digests, files
real = files.sha256
files.sha256 = lambda path: (real(path), time.sleep(random.random() / 50))[0]  # between a file and its digest
for number in range(10):
    digests.write_text(Path(sys.argv[1]), f"{{sys.argv[2]}} {{number}}" * 5000)
"""


@pytest.mark.faults
def test_two_writers_of_different_bytes_leave_a_file_with_its_own_digest(tmp_path):
    """Whoever reads meanwhile is refused at worst, and never takes bytes for those of another digest."""
    path = tmp_path / "a.txt"
    line = [sys.executable, "-c", WRITER.format(scripts=str(SCRIPTS)), str(path)]
    writers = [subprocess.Popen([*line, name]) for name in "abc"]
    while None in [one.poll() for one in writers]:
        with contextlib.suppress(Problem, FileNotFoundError):
            data = digests.read_bytes(path)
            assert data == data[: len(data) // 5000] * 5000
    assert [one.returncode for one in writers] == [0, 0, 0]
    digests.check_file(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == [".a.txt.sha256", "a.txt"]


def test_a_writer_holds_a_file_until_its_digest_is_there(tmp_path, monkeypatch):
    """Between a file and its digest no other writer comes: it would leave its own file with the first one's digest."""
    monkeypatch.setattr(one_writer, "PATIENCE", 0.2)
    path = written(tmp_path)
    other = f"import sys; from pathlib import Path; sys.path.insert(0, {str(SCRIPTS)!r})\n"
    other += "from distillery import digests, one_writer; one_writer.PATIENCE = 0.2\n"
    other += f"digests.write_text(Path({str(path)!r}), 'other')"
    with digests.recorded(path):
        files.write_text(path, "mine")
        second = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=False)
        assert second.returncode == 1 and "another process is writing this" in second.stderr
    assert digests.read_bytes(path) == b"mine"


def test_a_manifest_that_was_changed_vouches_for_nothing(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"0" * 100)
    manifest = tmp_path / digests.MANIFEST
    digests.write_json(manifest, {"files": digests.entries(tmp_path, ["a.bin"])})
    digests.check_file(tmp_path / "a.bin")
    manifest.write_text(manifest.read_text().replace("sha256", "sha257"))
    with pytest.raises(Problem, match="whose digest lies beside it") as caught:
        digests.check_file(tmp_path / "a.bin")
    assert str(manifest) in str(caught.value)


def test_all_records_of_a_file_are_held_against_it(tmp_path):
    path, listing = written(tmp_path), tmp_path / "rows.sha256"
    listing.write_text(f"{files.sha256(path)}  {path.name}\n")
    digests.check_file(path)
    for one in (listing, digests.beside(path)):
        whole = one.read_text()
        one.write_text("0" * 64 + whole[64:])
        with pytest.raises(Problem, match="whose digest") as caught:
            digests.check_file(path)
        assert f"as {one} has it" in str(caught.value)
        one.write_text(whole)


def test_a_line_of_a_list_ends_where_sha256sum_ends_it(tmp_path):
    names = ["a\u2028b", "c\x85d", "e"]
    for name in names:
        (tmp_path / name).write_text(name)
    listing = tmp_path / "list.sha256"
    listing.write_text("".join(f"{files.sha256(tmp_path / name)}  {name}\n" for name in names))
    assert set(digests.listed(listing)) == {tmp_path / name for name in names}
    (tmp_path / names[0]).write_text("changed")
    with pytest.raises(Problem, match="not the one whose digest"):
        digests.check_file(tmp_path / names[0])
