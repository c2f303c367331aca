"""Each of config/examples plans in a clone, shows its rows as they are trained, and tokenizes."""

from __future__ import annotations

import shlex
from pathlib import Path

import preprocess_data
import pytest
from places import ROOT

from distillery import artefacts, config, json_files
from distillery.fetch import openr1, synthetic
from distillery.launch import commandline
from distillery.planning import checks
from distillery.problems import Problem
from distillery.tokenize import rendered_rows

EXAMPLES = sorted((ROOT / "config/examples").glob("*.yaml"))
# what the first row is to look like between its question and its end, in each
ROWS = {
    "alpaca-history": "user\nGood morning!<|im_end|>\n<|im_start|>assistant\nGood morning.<|im_end|>\n<|im_start|>user\n"
    "Add the numbers.\n12, 9<|im_end|>\n<|im_start|>assistant\nThey make 21.<|im_end|>",
    "gsm8k-like": "assistant\nShe has 12 + 9 = 21 pens.\n#### 21<|im_end|>",
    "local-model": "assistant\nShe has 12 + 9 = 21 pens.\n#### 21<|im_end|>",
    "local-problems": "assistant\nShe has 12 + 9 = 21 pens.\n#### 21<|im_end|>",
    "mix-and-select": "<think>\nI add 12 and 9: that makes 21.\n</think>\n\nThe answer is \\boxed{21}.<|im_end|>",
    "multi-turn": "assistant\n21.<|im_end|>\n<|im_start|>user\nAnd one more?<|im_end|>\n<|im_start|>assistant\n22.<|im_end|>",
    "plain-text": "The sum of 12 and 9 is 21, and their difference is 3.<|im_end|>",
    "reasoning-content": "<think>\nI add 12 and 9: that makes 21.\n</think>\n\nThe answer is \\boxed{21}.<|im_end|>",
    "sharegpt": "system\nAnswer in one sentence.<|im_end|>\n<|im_start|>user\nWhat is 12 plus 9?<|im_end|>\n"
    "<|im_start|>assistant\nIt is 21.<|im_end|>",
    "two-stages": "assistant\nShe has 12 + 9 = 21 pens.\n#### 21<|im_end|>",
}


def test_each_example_is_named_here() -> None:
    assert {path.stem for path in EXAMPLES} == ROWS.keys()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_example(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert len(path.read_text().splitlines()) < 25
    loaded = config.read(path)
    assert [str(one) for one in checks.run(loaded)] == []
    shown = {one["dataset"]: one for one in rendered_rows.of(loaded)}
    assert {len(one["rows"]) for one in shown.values()} == {3}
    first = next(iter(loaded.experiments.values()))
    assert shown[first.dataset]["rows"][1].endswith(ROWS[path.stem])
    for part in (part for experiment in loaded.experiments.values() for part in experiment.parts):
        dataset = loaded.datasets[part.dataset]
        folder, prefix = Path(dataset.source.settings["path"]), tmp_path / part.dataset
        flags = ["--input", *(str(folder / name) for name in dataset.paths.values())]
        flags += ["--tokenizer-name-or-path", loaded.models[part.tokenize.model].settings["path"]]
        flags += ["--output-prefix", str(prefix), *commandline.tokenize(dataset, part.tokenize)]
        preprocess_data.main(preprocess_data.parser().parse_args(flags))
        made = json_files.read(tmp_path / f"{part.dataset}_manifest.json")
        assert (made["rows"], made["kept"], made["handler"]) == (6, 6, shown[part.dataset]["handler"])
        assert made["noted"].keys() <= {"text that spells a special token"}, shlex.join(flags)


def test_rows_are_shown_as_a_terminal_can_take_them(tmp_path: Path) -> None:
    raw = {
        "dataset": "d",
        "prompt_type": "qwen",
        "handler": "h",
        "said": "",
        "rows": ["a\x1b[2Jb\n" + "x" * 500],
    }
    first, *rows = rendered_rows.lines([raw])
    assert rows[0] == "  [row 0] a\\x1b[2Jb" and rows[1].endswith("... and 107 characters more")


def test_rows_of_fetched_files_are_shown_once_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = config.read(ROOT / "config/config.yaml")
    assert rendered_rows.of(loaded) == []
    (dataset,) = loaded.datasets.values()
    shard = Path(artefacts.SHARD.at(dataset=dataset.name, shard=dataset.shards[0]))
    shard.parent.mkdir(parents=True)
    openr1.write(synthetic.shard_rows(1, 0, 4), openr1.SHARD_SCHEMA, shard)
    (shown,) = rendered_rows.of(loaded)
    assert len(shown["rows"]) == 3 and "<think>" in shown["rows"][0]


def test_a_missing_column_ends_a_plan(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"asked": "q", "answer": "a"}\n')
    text = (ROOT / "config/examples/gsm8k-like.yaml").read_text()
    text = text.replace(
        "path: config/examples/data, files: gsm8k-like.jsonl", f"path: {tmp_path}, files: '*.jsonl'"
    )
    text = text.replace("handler_name: auto", "handler_name: AlpacaStyleInstructionHandler")
    text = text.replace(
        "problem_sets:", "    map_keys: {prompt: question, query: null, response: answer}\nproblem_sets:"
    )
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(
        Problem, match=r"(?s)a column is not there.*a\.jsonl, column question.*asked, answer.*map-keys"
    ):
        rendered_rows.of(config.read(tmp_path / "c.yaml"))
