"""Weights are read only as they were written: turned signs, another run's sound file, a tokenizer emptied on its way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from convert_parts import make_model

from distillery import digests, files
from distillery.convert import convert, states, vocabulary_rows
from distillery.convert.mcore_layout import Layout
from distillery.convert.weight_sources import open_hf, open_mcore
from distillery.problems import Problem
from distillery.tokenize import tokenizer


@pytest.fixture
def mcore(tmp_path) -> Path:
    return checkpoint(tmp_path / "mg", make_model(tmp_path / "hf"))


def checkpoint(save: Path, hf: Path) -> Path:
    convert.to_mcore(open_hf(hf), Layout(2, 1), states.of("bf16"), save, facts={})
    return save


def turn_signs(path: Path, offset: int, size: int) -> None:
    """Change the sign of every bf16 number of a tensor: nothing about the file's form tells."""
    data = bytearray(path.read_bytes())
    for at in range(offset + 1, offset + size, 2):
        data[at] ^= 0x80
    path.write_bytes(data)


def readers(directory: Path) -> dict:
    """Who starts from such weights: training (a rank), answers (any layout)."""
    return {
        "training": lambda: states.load_rank(directory, 1, 0, checked=True),
        "answers": lambda: states.load_state(directory, checked=True),
    }


@pytest.mark.faults
@pytest.mark.parametrize("reader", ["training", "answers"])
def test_turned_signs_of_a_rank_file_are_noticed(mcore, reader):
    one = next(iter(open_mcore(mcore).blocks["model.layers.1.mlp.down_proj.weight"][1:])).stored
    readers(mcore)[reader]()
    turn_signs(one.path, one.offset, one.bytes)
    with pytest.raises(Problem, match="bytes changed since the file was written") as caught:
        readers(mcore)[reader]()
    assert str(one.path) in str(caught.value) and "CRC-32" in str(caught.value)


@pytest.mark.faults
def test_turned_signs_of_an_export_are_noticed(mcore, tmp_path):
    out = tmp_path / "out"
    convert.to_hf(open_mcore(mcore), tmp_path / "hf", states.of("bf16"), out, facts={})
    states.load_state(out, checked=True)
    one = open_hf(out).blocks["lm_head.weight"][0].stored
    turn_signs(one.path, one.offset, one.bytes)
    with pytest.raises(Problem, match="lm_head.weight"):
        states.load_state(out, checked=True)


@pytest.mark.faults
@pytest.mark.parametrize("reader", ["training", "answers"])
@pytest.mark.parametrize("record", ["manifest.json", "done.json"])
def test_a_sound_file_of_another_run_is_noticed(mcore, tmp_path, reader, record):
    if record == "done.json":
        (mcore / "manifest.json").rename(mcore / "done.json")
    other = checkpoint(tmp_path / "other", make_model(tmp_path / "hf2", seed=1))
    name = "iter_0000001/mp_rank_01/model_optim_rng.pt"
    shutil.copyfile(other / name, mcore / name)
    with pytest.raises(Problem, match="not those that were recorded here") as caught:
        readers(mcore)[reader]()
    assert f"{mcore}, {record}, payload_digest" in str(caught.value)


@pytest.mark.faults
@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": "1.0"}'])
def test_a_tokenizer_that_was_replaced_is_noticed(tmp_path, mcore, content):
    hf = tmp_path / "hf"
    (hf / "tokenizer.json").write_bytes(
        b'{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'
    )
    files.write_json(hf / digests.MANIFEST, {"files": digests.entries(hf, ["tokenizer.json"])})
    assert tokenizer.load(hf).size() == 1
    (hf / "tokenizer.json").write_bytes(content)
    with pytest.raises(Problem, match="whose digest lies beside it"):
        tokenizer.load(hf)
    with pytest.raises(Problem, match="whose digest lies beside it"):
        convert.to_hf(open_mcore(mcore), hf, states.of("bf16"), tmp_path / "out", facts={})
    assert not (tmp_path / "out").exists()


@pytest.mark.faults
def test_an_empty_tokenizer_is_not_exported_where_no_manifest_tells(tmp_path, mcore):
    (tmp_path / "hf" / "tokenizer.json").write_bytes(b"")
    with pytest.raises(Problem, match="not JSON"):
        convert.to_hf(open_mcore(mcore), tmp_path / "hf", states.of("bf16"), tmp_path / "out", facts={})


@pytest.mark.parametrize(
    ("key", "value", "new"),
    [
        ("additional_special_tokens", ["<x>", {"content": "<y>"}], ["<x>", "<y>"]),
        ("extra_special_tokens", ["<x>"], ["<x>"]),
        ("extra_special_tokens", {"a_token": "<x>", "b_token": {"content": "<y>"}}, ["<x>", "<y>"]),
        ("additional_special_tokens", None, []),
        ("additional_special_tokens", "<x>", "not special tokens"),
        ("extra_special_tokens", 3, "not special tokens"),
        ("eos_token", ["<x>"], "not a token"),
        ("eos_token", {"content": 3}, "content"),
        ("added_tokens_decoder", {"a": {}}, "no number"),
        ("added_tokens_decoder", {"7": {"content": None}}, "content"),
        ("tokenizer_class", 3, "tokenizer_class"),
    ],
)
def test_special_tokens_in_every_form(tmp_path, key, value, new):
    """A string made each of its characters a special token."""
    (tmp_path / "tokenizer.json").write_bytes(
        b'{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'
    )
    files.write_json(tmp_path / "tokenizer_config.json", {key: value})
    if isinstance(new, list):
        assert tokenizer.load(tmp_path).new_tokens == new
        return
    with pytest.raises(Problem, match=new) as caught:
        tokenizer.load(tmp_path)
    assert str(tmp_path / "tokenizer_config.json") in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "null",
        '{"model": [}',
        '{"model": null}',
        '{"model": {"type": "BPE"}}',
        '{"model": {"vocab": {"a": "x"}}}',
        '{"model": {"vocab": {"a": 0}}, "added_tokens": [1]}',
        '{"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "b"}]}',
    ],
)
def test_a_tokenizer_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(Problem) as caught:
        vocabulary_rows.check(path, 10)
    assert str(path) in str(caught.value)


def test_the_largest_id_of_every_kind_of_vocabulary_is_found(tmp_path):
    path = tmp_path / "tokenizer.json"
    for whole, largest in (
        ({"model": {"vocab": {"a": 0, '"': 5}}, "added_tokens": [{"id": 3}]}, 5),
        ({"added_tokens": [{"id": 7}], "model": {"vocab": {}}}, 7),
        ({"added_tokens": None, "model": {"type": "Unigram", "vocab": [["a", 0.0], ["b", 0.0]]}}, 1),
    ):
        path.write_text(json.dumps(whole))
        assert f"up to {largest} " in vocabulary_rows.check(path, 10)
        with pytest.raises(Problem, match="no embedding for"):
            vocabulary_rows.check(path, largest)
