"""Tokenizers of a kilobyte that make gigabytes of a letter are refused before they see one; real ones are not."""

from __future__ import annotations

import json

import measured
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers
from tokenizers.normalizers import NFKC, Lowercase, Prepend, Replace

from distillery.tokenize import tokenizer

HOSTILE = {
    "doubled forty times": normalizers.Sequence([Replace("a", "aa")] * 40),
    "a book for a letter": Replace("a", "b" * 1_000_000),
    "between all letters": Replace(Regex(""), "b" * 1000),
    "a book before": Prepend("b" * 1_000_000),
}
REAL = {
    "llama": normalizers.Sequence([Prepend("▁"), Replace(" ", "▁")]),
    "qwen": normalizers.NFC(),
    "several": normalizers.Sequence([NFKC(), Lowercase(), Replace("``", '"'), Replace(Regex(" {2,}"), " ")]),
}


def written(folder, normalizer) -> None:
    made = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    made.normalizer = normalizer
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


@pytest.mark.faults
@pytest.mark.parametrize("name", HOSTILE)
def test_a_text_may_not_grow_without_end(tmp_path, name):
    written(tmp_path, HOSTILE[name])
    size = (tmp_path / "tokenizer.json").stat().st_size
    said = measured.refused(
        size, "-c", measured.AS_COMMAND, "distillery.tokenize.tokenizer", "load", tmp_path
    )
    assert str(tmp_path / "tokenizer.json") in said and "normalizer" in said


@pytest.mark.parametrize("name", REAL)
def test_real_normalizers_are_taken(tmp_path, name):
    written(tmp_path, REAL[name])
    assert tokenizer.load(tmp_path).encode("a") is not None
