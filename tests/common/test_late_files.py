"""A file that is listed and not there is no file that was never there: a network disk may show it later."""

from __future__ import annotations

import pytest

from distillery import digests, late_files
from distillery.problems import Problem
from distillery.tokenize import tokenizer


def test_a_file_whose_digest_lies_there_alone_is_missed(tmp_path):
    path = tmp_path / "manifest.json"
    assert not late_files.there(path)
    digests.write_json(path, {})
    assert late_files.there(path)
    path.unlink()
    with pytest.raises(Problem, match=r"not there, but its digest(?s:.*)run the same command again"):
        late_files.there(path)


def test_what_a_manifest_lists_is_missed_and_the_rest_is_not(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    names = ("tokenizer.json", "tokenizer_config.json", "LICENSE")
    assert late_files.present(tmp_path, names) == ["tokenizer.json"]
    (tmp_path / "tokenizer_config.json").write_text("{}")
    listed = digests.entries(tmp_path, names[:2])
    digests.write_json(tmp_path / "manifest.json", {"files": listed})
    assert late_files.present(tmp_path, names) == [*names[:2]]
    (tmp_path / "tokenizer_config.json").unlink()
    for read in (tokenizer.load, lambda folder: late_files.present(folder, names)):
        with pytest.raises(Problem, match=r"manifest lists is not there(?s:.*)tokenizer_config\.json"):
            read(tmp_path)
