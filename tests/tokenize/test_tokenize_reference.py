"""Every prompt type with generated rows: the bytes that MindSpeed-LLM 2.2.0 made of them with these small tokenizers.

The rows hold tools, observations, function calls, thoughts, null and out-of-turn messages, special-token text and
placeholders. `full` is a tokenizer with bos, eos, unk and all marker tokens; `bare` has no bos, eos or pad.
reference.jsonl gives, for each command, the digest of all files that the reference's preprocess_data.py wrote.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import preprocess_data
import pytest
from places import FIXTURES

from distillery.tokenize import templates

DATA = FIXTURES / "tokenize"
CASES = [json.loads(line) for line in (DATA / "reference.jsonl").read_text(encoding="utf-8").splitlines()]
PROMPT_TYPES = list(dict.fromkeys(case["prompt_type"] for case in CASES))


@pytest.mark.slow
@pytest.mark.parametrize("prompt_type", PROMPT_TYPES)
def test_bytes_of_the_reference(prompt_type: str | None, tmp_path: Path) -> None:
    different = []
    for number, case in enumerate(each for each in CASES if each["prompt_type"] == prompt_type):
        made = tmp_path / str(number)
        made.mkdir()
        where = ["--input", str(DATA / "inputs" / case["input"]), "--output-prefix", str(made / "zz")]
        flags = [
            *where,
            "--tokenizer-name-or-path",
            str(DATA / "tokenizers" / case["tokenizer"]),
            *case["flags"],
        ]
        flags += ["--prompt-type", prompt_type] if prompt_type else []
        preprocess_data.main(preprocess_data.parser().parse_args(flags))
        if digest(made) != case["sha256"]:
            different.append(" ".join(flags))
    assert not different


def test_every_prompt_type_is_compared() -> None:
    """minicpm3 is in the reference's templates.json but its command does not offer it."""
    assert {*PROMPT_TYPES, "minicpm3"} == {*templates.names(), None}
    assert templates.load("minicpm3").user == templates.load("deepseek2").user


def digest(directory: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(directory.glob("*_document.*")):
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:32]
