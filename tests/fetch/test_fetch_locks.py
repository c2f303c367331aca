"""Locks as files: what of them is distrusted, and what the committed ones know."""

import pytest
from places import ROOT

from distillery.fetch import listing
from distillery.problems import Problem


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not a lock"),
        ('{"files": []}', "not a lock"),
        ('{"host": "ftp", "repo": "a/b", "repo_type": "model", "files": []}', "not a lock"),
        ('{"host": "url", "repo": "a", "repo_type": "model", "files": [{"name": "../x"}]}', "could leave"),
        (
            '{"host": "url", "repo": "a", "repo_type": "model", "files": [{"name": "x", "sha256": "zz"}]}',
            "not a digest",
        ),
        (
            '{"host": "url", "repo": "a", "repo_type": "model", "files": [{"name": "x", "bytes": -1}]}',
            "not a size",
        ),
    ],
)
def test_hand_written_locks_are_distrusted(tmp_path, text, message):
    (tmp_path / "lock.json").write_text(text)
    with pytest.raises(Problem, match=message):
        listing.read(tmp_path / "lock.json")


def test_the_committed_lock_knows_what_was_published():
    made = listing.read(ROOT / "config/locks/openr1-math-220k.json")
    assert len(made.files) == 10 and made.rows == 93_733 and made.revision.startswith("e4e141ec")
    assert [one.bytes for one in made.files[:2]] == [213_636_225, 214_580_713]
    assert not made.is_complete  # digests come from the hub when it is asked
