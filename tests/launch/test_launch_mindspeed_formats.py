"""MindSpeed-LLM's tokenizing gets files that its reader takes: each format as it is, packed text unpacked."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenize_mindspeed
from places import FIXTURES, SUPPORT
from row_formats import MAKERS

from distillery import json_files
from distillery.problems import Problem
from distillery.tokenize.dataset_files import DatasetFiles

ROWS = [{"instruction": f"what is {n}?", "output": f"it is {n}"} for n in range(60)]
FLAGS = ["--handler-name", "AlpacaStyleInstructionHandler", "--map-keys", '{"query": null}']
FLAGS += ["--prompt-type", "qwen", "--workers", "1"]


def tokenized(paths: list[Path], prefix: Path) -> dict:
    line = [
        "--input",
        *map(str, paths),
        "--output-prefix",
        str(prefix),
        "--log-dir",
        str(prefix.parent / "logs"),
    ]
    line += ["--tokenizer-name-or-path", str(FIXTURES / "tokenize/tokenizers/full")]
    line += ["--directory", str(SUPPORT / "standin_mindspeed"), "--", *FLAGS]
    args = tokenize_mindspeed.parser().parse_args(line)
    args.log = None  # what a command's own start adds
    tokenize_mindspeed.main(args)
    return json_files.read(DatasetFiles(prefix).manifest)


def written(folder: Path, ending: str) -> Path:
    path = folder / f"rows of {ending.replace('.', '_')}.{ending}"
    path.write_bytes(MAKERS[ending](ROWS))
    return path


@pytest.mark.slow
def test_formats_that_its_reader_takes(tmp_path: Path) -> None:
    """Two packed ones and one as it is: what it wrote is the same three times, and says which file it is of."""
    found = []
    for ending in ("parquet", "jsonl.gz", "json.zst"):
        path = written(tmp_path, ending)
        manifest = tokenized([path], tmp_path / ending / "d")
        assert [(one["name"], one["rows"]) for one in manifest["inputs"]] == [(path.name, 60)]
        made = DatasetFiles(tmp_path / ending / "d")
        found.append([made.bin(stem).read_bytes() for stem in made.stems])
        assert not list((tmp_path / ending).glob(".*.scratch"))
    assert found[0][0] and all(one == found[0] for one in found)


def test_its_reader_refuses_what_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in is as strict as the reference: without unpacking the run fails, and leaves nothing."""
    from distillery.launch.mindspeed import tokenize_stage

    monkeypatch.setattr(tokenize_stage, "_unpacked", lambda shard, folder: shard)
    with pytest.raises(Problem, match="unknown local data"):
        tokenized([written(tmp_path, "jsonl.gz")], tmp_path / "d")
    assert not list(tmp_path.glob("d_*"))
