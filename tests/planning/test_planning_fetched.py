"""What fetched files say of a plan: each finding, from files that bring it about."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from commands import here
from places import ROOT

from distillery import config, files, json_files
from distillery.fetch import openr1, synthetic
from distillery.planning import fetched_settings
from distillery.planning.checks import fetched_checks
from distillery.planning.finding import SECTIONS
from distillery.problems import Problem
from distillery.tokenize import similarity

MAP_KEYS = {
    "messages": "messages",
    "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A shard, problems and a tiny model with its tokenizer."""
    folder = tmp_path_factory.mktemp("sources")
    shard = ("--seed", 0, "--shard", "00000", "--shards", "00001", "--rows", 300, "--output", "s.parquet")
    model = ("--seed", 1, "--config-json", "{}", "--vocab-size", 400, "--tokenizer-shards", "s.parquet")
    for name, words in {
        "fetch_generated_shard.py": shard,
        "fetch_generated_problems.py": ("--seed", 7, "--rows", 20, "--output", "p.parquet"),
        "fetch_generated_model.py": (*model, "--tokenizer-rows", 300, "--output-dir", "m"),
    }.items():
        answer = here(name, *words, cwd=folder)
        assert answer.returncode == 0, answer.stderr
    return folder


def settings(**changes: object) -> fetched_settings.Settings:
    usual = fetched_settings.Settings(
        experiment="e",
        dataset="d",
        prompt_type="qwen_math_r1",
        answer_prompt_type="qwen_math_r1",
        handler_name="SharegptStyleInstructionHandler",
        map_keys=MAP_KEYS,
        tokenize_length=512,
        train_length=512,
        prompt_room={"p": {"generate": 200}},
    )
    return replace(usual, **changes)


def found(made: Path, **changes: object) -> dict:
    return fetched_checks.inspect(made / "m", made / "s.parquet", [made / "p.parquet"], settings(**changes))


def test_matching_files_say_nothing_but_their_lengths(made):
    result = found(made)
    assert result["findings"] == []
    sample = result["sample"]
    assert sample["rows"] == 256 and sample["share_overlong"] == 0
    assert sample["share_thinking"] == sample["share_boxed"] == 1
    assert sample["rejected"] == {}
    assert 50 < sample["p50"] <= sample["p90"] <= sample["max"] < 512
    assert result["decontamination"] == {"problems": 20, "contained": 0}


def rewritten(made: Path, folder: Path, change) -> Path:
    """The shard with each answer changed."""
    rows = pq.read_table(made / "s.parquet")
    messages = rows["messages"].to_pylist()
    for answer in (one for row in messages for one in row if one["role"] == "assistant"):
        answer["content"] = change(answer["content"])
    place = rows.schema.get_field_index("messages")
    changed = rows.set_column(place, "messages", pa.array(messages, rows.schema.field(place).type))
    pq.write_table(changed, folder / "changed.parquet")
    return folder / "changed.parquet"


TABLE = [
    ("markers", "error", {"prompt_type": "deepseek3", "answer_prompt_type": "deepseek3"}),
    ("new-tokens", "error", {"prompt_type": "llama3", "answer_prompt_type": "llama3"}),
    ("stop-ids", "error", {"answer_prompt_type": "default"}),
    ("chat-template", "warning", {"prompt_type": "qwen", "answer_prompt_type": "qwen"}),
    ("columns", "error", {"map_keys": {**MAP_KEYS, "messages": "conversations"}}),
    (
        "rows",
        "error",
        {"map_keys": {**MAP_KEYS, "tags": {**MAP_KEYS["tags"], "assistant_tag": "teacher"}}},
    ),
    ("cut-answers", "error", {"tokenize_length": None, "train_length": 100}),
    ("overlong-rows", "warning", {"tokenize_length": 100, "train_length": 100}),
    ("recorded-config", "error", {"origin": "Qwen/Qwen2.5-0.5B"}),
    ("recorded-tokenizer", "error", {"origin": "Qwen/Qwen2.5-0.5B"}),
    ("recorded-tokenizer", "error", {"origin": "x/SmolLM2-135M-Instruct.Q4_1.gguf"}),
    ("prompt-length", "error", {"prompt_room": {"p": {"generate": 200, "generate.base": 40}}}),
    ("pad-end", "error", {"prompt_type": "empty", "answer_prompt_type": "empty"}),
    ("chat-template", "error", {"prompt_type": "qwen", "answer_prompt_type": "qwen", "own_template": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("id", "severity", "changes"), TABLE)
def test_each_check_of_files(made, id, severity, changes):
    result = found(made, **changes)["findings"]
    assert (id, severity) in {(one.id, one.severity) for one in result}, [str(one) for one in result]
    assert {one.experiments for one in result} == {("e",)}


def test_every_finding_of_files_has_a_row():
    alone = {
        "own-template",
        "vocabulary",
        "open-think",
        "unboxed",
        "contamination",
        "golds",
    }  # in tests of their own
    assert {row[0] for row in TABLE} | alone == {*SECTIONS["fetched files"], "vocabulary"}


@pytest.mark.parametrize("source", [b"{% refused %}", b"{{ raise_exception('refused') }}", b"\xff"])
def test_a_models_own_template_that_fails_is_an_error_only_where_it_is_used(made, tmp_path, source):
    shutil.copytree(made / "m", tmp_path / "m")
    (tmp_path / "m/chat_template.jinja").write_bytes(source)
    files = tmp_path / "m", made / "s.parquet", [made / "p.parquet"]
    (one,) = fetched_checks.inspect(*files, settings())["findings"]
    assert (one.id, one.severity) == ("own-template", "warning")
    assert "refused" in one.found or "not UTF-8" in one.found
    with pytest.raises(Problem, match="refused|not UTF-8"):  # a prompt is to be measured
        fetched_checks.inspect(*files, settings(own_template=True))


def test_golds_that_cannot_be_read_are_found_before_training(made, tmp_path):
    rows = pq.read_table(made / "p.parquet").to_pylist()
    rows[3]["answer"], rows[5]["answer"] = "", r"\frac{1}{2"
    openr1.write(rows, openr1.PROBLEM_SCHEMA, tmp_path / "p.parquet")
    (one,) = fetched_checks.inspect(made / "m", made / "s.parquet", [tmp_path / "p.parquet"], settings())[
        "findings"
    ]
    assert (one.id, one.severity, one.keys) == ("golds", "error", ("experiments.e.problems",))
    assert "2 gold answers" in one.found and "p.parquet, row 3, column answer: no answer" in one.found
    assert "p.parquet, row 5, column answer: braces" in one.found and "unscorable: leave_out" in one.fix


def test_findings_name_whole_keys_and_what_is_wrong(made):
    """Keys as they stand in the file; the longest prompt by its id; reasons of rejected rows with their counts."""
    (one,) = found(made, prompt_room={"p": {"generate": 200, "generate.base": 40}})["findings"]
    assert one.keys == ("experiments.e.problems", "experiments.e.generate.base.max_new_tokens")
    assert "of 20 prompts, the longest (" in one.found and one.expected == "at most 40 beside the answer"
    (one,) = found(made, map_keys={**MAP_KEYS, "messages": "conversations"})["findings"]
    assert one.keys == ("datasets.d.map_keys",)


@pytest.mark.slow
def test_rejected_rows_count_against_their_allowed_share(made, tmp_path):
    def rejected(bad: int, **changes) -> list[tuple[str, str, str]]:
        count = iter(range(10**6))
        changed = rewritten(made, tmp_path, lambda text: text if next(count) >= bad else None)
        result = fetched_checks.inspect(made / "m", changed, [made / "p.parquet"], settings(**changes))
        return [(one.id, one.severity, one.found) for one in result["findings"]]

    ((_, severity, words),) = rejected(246)
    assert severity == "error" and words.startswith("246 of the first 256 rows cannot be used: ")
    assert words.endswith(" (246)")
    # the first rows may be worse than the rest: tokenize counts them all
    assert [(id, severity) for id, severity, _ in rejected(6)] == [("rows", "warning")]
    assert rejected(6, max_rejected_share=0.03) == []
    assert rejected(2) == []


def test_a_vocabulary_smaller_than_the_tokenizer(made, tmp_path):
    shutil.copytree(made / "m", tmp_path / "m")
    known = json_files.read(tmp_path / "m/config.json")
    files.write_json(tmp_path / "m/config.json", {**known, "vocab_size": 399})
    for name in ("manifest.json", ".manifest.json.sha256"):  # else it is not the file that was fetched
        (tmp_path / "m" / name).unlink()
    result = fetched_checks.inspect(tmp_path / "m", made / "s.parquet", [made / "p.parquet"], settings())
    assert [one.id for one in result["findings"]] == ["vocabulary"]


def test_all_checks_run_once_the_config_of_an_unrecorded_model_is_here(made):
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    raw["models"]["qwen2.5-math-7b"]["hub"]["repo"] = "me/x"
    raw["experiments"]["qwen2.5-math-7b"] |= {"seq_length": 131072, "rope": {"rotary_base": 1000000}}
    name = "qwen2.5-math-7b"
    loaded = config.load(raw)
    alone = fetched_settings.parse(fetched_settings.as_json(loaded, name)[0]).config
    assert config.load(alone).experiments[name] == loaded.experiments[name]
    found_late = {one.id for one in found(made, experiment=name, config=alone)["findings"]}
    assert {"rope-base", "context"} <= found_late
    assert not {"unknown-model", "learning-rate", "overlong-rows"} & found_late  # said before, or not at all
    raw["models"]["qwen2.5-math-7b"]["hub"]["repo"] = "Qwen/Qwen2.5-Math-7B"
    assert fetched_settings.of(config.load(raw), name).config is None


@pytest.mark.slow
def test_open_thoughts_unboxed_answers_and_contamination(made, tmp_path):
    changed = rewritten(made, tmp_path, lambda text: text.replace("</think>", ""))
    result = fetched_checks.inspect(made / "m", changed, [made / "p.parquet"], settings())
    assert [one.id for one in result["findings"]] == ["open-think"]
    count = iter(range(10**6))
    changed = rewritten(made, tmp_path, lambda text: text.replace("\\boxed", "") if next(count) % 2 else text)
    result = fetched_checks.inspect(made / "m", changed, [made / "p.parquet"], settings())
    assert [one.id for one in result["findings"]] == ["unboxed"]
    changed = rewritten(made, tmp_path, lambda text: text.replace("\\boxed", ""))
    result = fetched_checks.inspect(made / "m", changed, [made / "p.parquet"], settings())
    assert [one.found for one in result["findings"]] == ["100.0% of answers without \\boxed{}"]
    seen = pq.read_table(made / "s.parquet", columns=["problem"]).to_pylist()[:5]
    rows = [
        {**one, "problem": other["problem"]}
        for one, other in zip(synthetic.problem_rows(7, 5), seen, strict=True)
    ]
    openr1.write(rows, openr1.PROBLEM_SCHEMA, tmp_path / "seen.parquet")
    result = fetched_checks.inspect(made / "m", made / "s.parquet", [tmp_path / "seen.parquet"], settings())
    assert [one.id for one in result["findings"]] == ["contamination"]
    assert similarity.contamination(made / "s.parquet", tmp_path / "seen.parquet") == {
        "problems": 5,
        "contained": 5,
    }


def test_the_command_stops_at_errors_and_leaves_no_output(made, tmp_path):
    def check(**changes: object) -> subprocess.CompletedProcess:
        text = json.dumps(asdict(settings(**changes)))
        paths = ("--model-dir", "m", "--shard", "s.parquet", "--problems", "p.parquet")
        output = ("--output", tmp_path / "checks.json")
        return here("plan_sources.py", *paths, "--settings-json", text, *output, cwd=made)

    bad = check(prompt_type="deepseek3")
    assert bad.returncode == 1 and "error[markers]" in bad.stderr and not (tmp_path / "checks.json").exists()
    qwen = {"prompt_type": "qwen", "answer_prompt_type": "qwen"}
    good = check(**qwen, accept=["chat-template"])
    assert good.returncode == 0, good.stderr
    (one,) = json_files.read(tmp_path / "checks.json")["findings"]
    assert (one["id"], one["severity"]) == ("chat-template", "accepted")
