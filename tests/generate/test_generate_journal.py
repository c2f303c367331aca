"""The journal of answers: what a killed run left is taken up to the first line that is not as it was written."""

import pytest

from distillery.generate.journal import Journal
from distillery.problems import Problem


def rows_of(count):
    return [{"id": f"p{i}", "sample": 0, "text": "\u2028é" * i} for i in range(count)]


@pytest.mark.parametrize("torn", [0, 1, 5, 1000])
def test_a_journal_keeps_whole_lines_and_the_file_is_the_same(tmp_path, torn):
    target = tmp_path / "out.jsonl"
    keys = [(row["id"], row["sample"]) for row in rows_of(4)]
    with Journal(tmp_path / "straight.jsonl", "x") as straight:
        for row in rows_of(4):
            straight.add(row)
        straight.finish(keys)
    with Journal(target, "x") as first:
        for row in rows_of(3)[::-1]:
            first.add(row)
    path = first.path
    path.write_bytes(path.read_bytes()[: max(path.stat().st_size - torn, 0)])
    with Journal(target, "x") as again:
        assert len(again.taken) == {0: 3, 1: 2, 5: 2, 1000: 0}[torn]
        for row in rows_of(4):
            if (row["id"], 0) not in again.taken:
                again.add(row)
        assert not target.exists()
        again.finish(keys)
    assert target.read_bytes() == (tmp_path / "straight.jsonl").read_bytes()
    made = ["out.jsonl", "straight.jsonl"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [*(f".{name}.sha256" for name in made), *made]


HOLES = (
    b"\0" * 9 + b"\n",
    b'{"id": "p1", "sa\n',
    b"\xff\n",
    b"\n",
    b"[]\n",
    b"7\n",
    b'{"id": "p1", "sample": 0, "text": "right"}\n',
    b'{"crc32": "\xc3\x97"}\n',
    b"[" * 99_999 + b"\n",
)


@pytest.mark.parametrize("hole", HOLES)
def test_a_journal_is_taken_up_to_the_first_line_that_is_none(tmp_path, hole):
    with Journal(tmp_path / "o.jsonl", "x") as journal:
        for row in rows_of(3):
            journal.add(row)
    lines_of = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([*lines_of[:2], hole, *lines_of[2:]]))
    with Journal(tmp_path / "o.jsonl", "x") as again:
        assert list(again.taken) == [("p0", 0)]
        assert again.path.read_bytes() == b"".join(lines_of[:2])
        again.add(rows_of(2)[1])
        assert again.path.read_bytes() == b"".join(lines_of[:3])


def test_a_bit_turned_in_a_journal_is_no_answer(tmp_path):
    """Each byte of a record, so that a digit that becomes another is among them: the answer is given anew."""
    with Journal(tmp_path / "o.jsonl", "x") as journal:
        for row in rows_of(2):
            journal.add(row)
    whole = journal.path.read_bytes()
    header, first, _ = whole.splitlines(keepends=True)
    for at in range(len(header), len(header) + len(first)):
        journal.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with Journal(tmp_path / "o.jsonl", "x") as again:
            assert again.taken == {}, at


def test_an_answer_that_changed_before_the_end_is_not_written(tmp_path):
    with Journal(tmp_path / "o.jsonl", "x") as journal:
        for row in rows_of(2):
            journal.add(row)
        journal.path.write_bytes(journal.path.read_bytes().replace(b"p1", b"p7"))
        with pytest.raises(
            Problem, match="(?s)an answer changed after it was written.*o.jsonl.journal, byte"
        ):
            journal.finish([("p0", 0), ("p1", 0)])
    assert not (tmp_path / "o.jsonl").exists()


def test_a_journal_of_another_run_is_not_continued(tmp_path):
    for identity in "xyx":
        with Journal(tmp_path / "o.jsonl", identity) as journal:
            assert journal.taken == {}
            journal.add(rows_of(1)[0])


def test_two_runs_do_not_write_one_file(tmp_path):
    with Journal(tmp_path / "o.jsonl", "x") as first:
        with pytest.raises(Problem, match="another run"):
            Journal(tmp_path / "o.jsonl", "y")
        first.add(rows_of(1)[0])
    with Journal(tmp_path / "o.jsonl", "x") as again:
        assert len(again.taken) == 1
