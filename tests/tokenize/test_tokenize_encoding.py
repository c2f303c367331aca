"""The fast encoder gives exactly the ids of `tokenizers`, on the characters it is let near, or it is not used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import FIXTURES

from distillery.problems import Problem
from distillery.tokenize import encoding, tokenizer
from distillery.tokenize.encoding import Encoder

DATA = FIXTURES / "tokenize"
# combining marks whose order the normalizers see differently, and what else NFC or an old Unicode table touches
UNSAFE = "\u07fd\u0899\u08cf\u0c3c\u0d3b\u0eba\u1715\u1abf\u1ac0\u1aca\u1add\u1ae6\u1df7\ua82c\u0301\u1161\u212b\u0340\U0001fb00"


@pytest.fixture(scope="module")
def encoder(qwen_tokenizer: Path) -> Encoder:
    made = Encoder(tokenizer.load(qwen_tokenizer))
    assert made.fast, made.why
    return made


@pytest.mark.slow
def test_every_safe_character_in_every_context(encoder: Encoder) -> None:
    """A letter, digit, mark, space or newline before and after it: all that the split pattern can tell apart."""
    compared = (chr(point) for first, end in encoding.COMPARED for point in range(first, end))
    safe = [char for char in compared if encoding.safe_bytes(char)]
    assert len(safe) > 60_000
    texts = [
        "".join(f"a{c}b {c}1{c}{c}.{c}\n{c} " for c in safe[at : at + 50]) for at in range(0, len(safe), 50)
    ]
    contents = [encoding.safe_bytes(text) for text in texts]
    assert contents == [text.encode() for text in texts]
    exact = encoder.tokenizer.backend.encode_batch_fast(texts, add_special_tokens=False)
    different = [c for c, e in zip(contents, exact, strict=True) if encoder._fast(c).tolist() != e.ids]
    assert not different


@pytest.mark.parametrize("char", UNSAFE)
def test_doubtful_characters_take_the_exact_route(encoder: Encoder, char: str) -> None:
    text = f"a {char}b\u0301{char} 1{char}"
    assert encoding.safe_bytes(f"a{char}") is None
    assert encoder.encode(text).tolist() == encoder.tokenizer.encode(text)


def test_the_route_is_needed(encoder: Encoder) -> None:
    """Were the two equal everywhere, the routing could go."""
    text = "a \u08cfb\u0301\u08cf"
    assert encoder._fast(text.encode()).tolist() != encoder.tokenizer.encode(text)


hard = st.lists(
    st.one_of(
        st.sampled_from(
            list(" \n\r\t'sS0129.,$\\{}<|>_-=+/é\u0301ￂ가ᄀ\u3000\u2028\xa0")
            + ["<|im_end|>", "<tool_call>", "'ll"]
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=300,
).map("".join)


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=hard)
def test_any_text(encoder: Encoder, text: str) -> None:
    found = encoder.encode(text)
    assert found.dtype == np.int32
    assert found.tolist() == encoder.tokenizer.encode(text)


def test_other_tokenizers_fall_back_and_say_so(qwen_tokenizer: Path, tmp_path: Path) -> None:
    other = Encoder(tokenizer.load(DATA / "tokenizers" / "full"))
    assert not other.fast and "not verified" in other.why
    assert not Encoder(tokenizer.load(qwen_tokenizer), exact_only=True).fast
    changed = tmp_path / "changed"
    shutil.copytree(qwen_tokenizer, changed)
    path = changed / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"NFC"', '"NFKC"'), encoding="utf-8")
    assert not Encoder(tokenizer.load(changed)).fast
    grown = tokenizer.load(qwen_tokenizer)
    grown.add(["<|eot_id|>"])
    assert "<|eot_id|>" in Encoder(grown).why


@pytest.mark.slow
@pytest.mark.parametrize("listed", [{"added_tokens_decoder": "<think>"}, {"eos_token": "eos"}])
def test_tokens_that_only_the_configuration_lists_are_tokens(
    listed: dict, qwen_tokenizer: Path, tmp_path: Path
) -> None:
    """Be they new, or entries of the vocabulary (as `eos` is): the fast encoder reads tokenizer.json alone."""
    from transformers import AutoTokenizer

    directory = tmp_path / "listed"
    shutil.copytree(qwen_tokenizer, directory)
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text())
    if token := listed.get("added_tokens_decoder"):
        flags = dict.fromkeys(("lstrip", "rstrip", "single_word", "normalized", "special"), False)
        config["added_tokens_decoder"]["151665"] = {"content": token, **flags}
    else:
        config |= listed
    path.write_text(json.dumps(config))
    text = "<think>x</think> the eos of videos<think>"
    ours = Encoder(tokenizer.load(directory))
    theirs = AutoTokenizer.from_pretrained(directory)
    assert ours.encode(text).tolist() == theirs.encode(text, add_special_tokens=False)
    assert ours.encode(text).tolist() != Encoder(tokenizer.load(qwen_tokenizer)).encode(text).tolist()


GROWTH = """
import random, sys
from pathlib import Path
from distillery.tokenize import encoding, tokenizer

made = encoding.Encoder(tokenizer.load(Path(sys.argv[1])))
peak = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) >> 10
random.seed(1)
before = peak()
for part in range(40):
    text = "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=280_000))
    made.encode(" ".join(text[at : at + 7] for at in range(0, len(text), 7)))
assert made.encode(text[:5000]).tolist() == made.exact(text[:5000]).tolist()
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_words_met(qwen_tokenizer: Path) -> None:
    """1.6 million words that never come again: unbounded, their memory takes 195 MB."""
    command = [sys.executable, "-c", GROWTH, str(qwen_tokenizer)]
    environment = os.environ | {"PYTHONPATH": str(Path(encoding.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 130


def test_a_difference_stops_the_run(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder.cross_check("a b", 0)
    monkeypatch.setattr(encoder, "_fast", lambda text: np.array([1, 2, 3], np.uint32))
    with pytest.raises(Problem, match="--encoder exact"):
        encoder.cross_check("a b", 0)


def test_every_part_of_a_text_comes_to_be_compared(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(chr(0x4E00 + place) for place in range(3 * encoding.CROSS_CHECKED + 7))
    compared: list[str] = []
    exact = encoder.exact
    monkeypatch.setattr(encoder, "exact", lambda piece: compared.append(piece) or exact(piece))
    for number in range(4 * encoding.CROSS_CHECK_EVERY):
        encoder.cross_check(text, number)
    assert len(compared) == 4 and "".join(compared) == text
