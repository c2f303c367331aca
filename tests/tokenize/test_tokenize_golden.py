"""Every golden command of MindSpeed-LLM 2.2.0: the same .bin and .idx, or a taught error where it crashes."""

from __future__ import annotations

import json
from pathlib import Path

import preprocess_data
import pytest
from places import FIXTURES

from distillery.files import sha256
from distillery.problems import Problem
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles

DATA = FIXTURES / "tokenize"
GOLDEN = json.loads((DATA / "golden.json").read_text(encoding="utf-8"))
EQUAL = sorted(case for case, entry in GOLDEN.items() if "sha256" in entry)


def preprocess(case: str, tokenizer: Path, prefix: Path, *more: str) -> None:
    entry = GOLDEN[case]
    where = ["--input", str(DATA / "inputs" / entry["input"]), "--output-prefix", str(prefix)]
    flags = [*where, "--tokenizer-name-or-path", str(tokenizer), *entry["flags"], *more]
    preprocess_data.main(preprocess_data.parser().parse_args(flags))


@pytest.mark.parametrize("case", EQUAL)
def test_bytes_of_the_reference(case: str, qwen_tokenizer: Path, tmp_path: Path) -> None:
    preprocess(case, qwen_tokenizer, tmp_path / "d")
    made = DatasetFiles(tmp_path / "d")
    found = {
        f"{stem.removeprefix('packed_')}.{path.suffix[1:]}": sha256(path)
        for stem in PACKED_STEMS
        for path in (made.bin(stem), made.idx(stem))
    }
    assert found == GOLDEN[case]["sha256"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("bad_key", "msgs"),
        ("bad_tag", "role_tag"),
        ("alpaca_bad_col", "nope"),
        ("neat_without_pack", "--pack"),
        ("pack_without_seqlen", "--seq-length"),
        ("no_prompt_type", "--prompt-type"),
        ("handler_typo", "SharegptStyleInstructionHandler"),
    ],
)
def test_errors_of_the_reference_are_taught(
    case: str, words: str, qwen_tokenizer: Path, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match=words):
        preprocess(case, qwen_tokenizer, tmp_path / "d")
    assert not list(tmp_path.iterdir())


def test_a_missing_output_directory_is_made(qwen_tokenizer: Path, tmp_path: Path) -> None:
    """The reference stops there; the guide never makes the directory that its command wants."""
    preprocess("missing_outdir", qwen_tokenizer, tmp_path / "nope" / "d")
    assert (tmp_path / "nope" / "d_packed_input_ids_document.bin").stat().st_size > 0


def test_tools_in_qwen3_are_quarantined(qwen_tokenizer: Path, tmp_path: Path) -> None:
    """The reference crashes on them: the tool format that templates.json names does not exist in its code."""
    preprocess("tools_qwen3", qwen_tokenizer, tmp_path / "d")
    rejected = [json.loads(line) for line in (tmp_path / "d_rejected.jsonl").read_text("utf-8").splitlines()]
    assert [entry["row"] for entry in rejected] == [0, 2, 3]
    assert {entry["reason"] for entry in rejected} == {"tools in a prompt type without a tool format"}
