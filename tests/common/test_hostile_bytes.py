"""Files that hold anything at all, before each small reader: a right result or a Problem, never another error, and at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from places import SCRIPTS

from distillery import checkpoint_names, digests, json_files, json_rows, resource_samples
from distillery.convert import shards
from distillery.evaluate import overrules, scoring
from distillery.evaluate.golds import Unreadable
from distillery.fetch import arrived_files, listing, problem_columns
from distillery.generate import prompts
from distillery.planning import outcome
from distillery.problems import Problem
from distillery.serving import api_key, replies
from distillery.tokenize import templates, tools
from distillery.tokenize.conversation import Rejected

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DEEP = b"[" * 100_000
ROW = {"id": "a", "sample": 0, "prompt": "p", "text": "t", "tokens": [1], "stop": "eos"}
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
# MindSpeed-LLM's own form of a prompt type, and ours
THEIRS = {"name": "a", "format_user": {"slots": ["{{content}}"]}, "stop_words": ["x"], "default_system": "s"}
OURS = {"a": {"like": "b", "user": ["{{content}}", {"token": "t"}]}, "b": {"stop_words": ["x"]}}


def anyhow(data: bytes) -> list[bytes]:
    """A file's bytes, broken."""
    return [b"", b"\xff\xfe", b"\0", DEEP, b"1" * 5000, b"NaN", b"null", data[: len(data) // 2], data + b"}"]


def lines_of(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def header_of(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


def answers(path: Path) -> None:
    list(scoring.read_jsonl(path, tuple(ROW)))


def prompt_types(path: Path) -> None:
    templates._entries.cache_clear()
    templates.load.cache_clear()
    for name in templates._entries(path):
        templates.load(name, path)


def reply(path: Path) -> None:
    asked = replies.Exchange("http://x", "m", api_key.ApiKey(), "prompt 1", 8)
    for status in (200, 400):
        with contextlib.suppress(replies.Again, Problem):
            replies.read(asked, status, {}, path.read_bytes())


def tool_calls(path: Path) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tools.describe(text, "default")
        tools.call(("{{name}}",), text, "action")
        tools.call(("{{content}}",), text, "tool_call_tags")
    except Rejected:
        pass


def gold(path: Path) -> None:
    with contextlib.suppress(Unreadable):
        problem_columns._listed(path.read_text(encoding="utf-8", errors="replace"))


# {what: (a reader, a whole file, how a value becomes one)}
READERS: dict[str, tuple[Callable[[Path], object], Any, Callable[[Any], bytes]]] = {
    "answers": (answers, ROW, lines_of),
    "samples": (
        resource_samples.read,
        {"seconds": 1, "memory_megabytes": 2, "cpu_percent": 3, "chips": [{"power": 1}]},
        lines_of,
    ),
    "prompts": (prompts.read, {"id": 1, "prompt": "p", "seed": 1}, lines_of),
    "overrules": (
        lambda path: overrules.read(path, [{"uuid": "a", "answer": "1"}]),
        {"id": "a", "gold": "1", "answer": "2", "right": True},
        lines_of,
    ),
    "rows": (lambda path: list(json_rows.read(path)), [{"a": 1}], lines_of),
    "lock": (
        listing.read,
        {
            "host": "huggingface",
            "repo": "a/b",
            "repo_type": "dataset",
            "revision": "main",
            "files": [{"name": "a", "bytes": 1, "sha256": "0" * 64}],
        },
        lines_of,
    ),
    "prompt types, theirs": (prompt_types, [THEIRS], lines_of),
    "prompt types": (prompt_types, {"prompt_types": OURS}, lines_of),
    "safetensors": (shards._header, {"a": TENSOR}, header_of),
    "a model that came": (
        lambda path: arrived_files.malformed("m.safetensors", path),
        {"a": TENSOR},
        header_of,
    ),
    "tool calls": (tool_calls, {"name": "n", "arguments": {"a": [1]}}, lines_of),
    "a gold": (gold, ["1", "2"], lines_of),
    "a server's reply": (
        reply,
        {
            "model": "m",
            "choices": [{"message": {"content": "c"}, "finish_reason": "stop"}],
            "usage": {"completion_tokens": 1},
        },
        lines_of,
    ),
}


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """Every key of a JSON value, and the first of each list."""
    below = (
        value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    )
    return [path, *(place for key, one in below for place in places(one, (*path, key)))]


def changed(value: Any, path: tuple, to: Any) -> Any:
    if not path:
        return to
    one = changed(value[path[0]], path[1:], to)
    return {**value, path[0]: one} if isinstance(value, dict) else [one, *value[1:]]


@pytest.mark.parametrize("name", READERS)
def test_a_right_result_or_a_problem(tmp_path_factory, name):
    reader, value, written = READERS[name]
    path = tmp_path_factory.mktemp("x") / "a.json"
    path.write_bytes(written(value))
    reader(path)

    def tried(data: bytes) -> None:
        path.write_bytes(data)
        with contextlib.suppress(Problem):
            reader(path)

    for data in anyhow(written(value)):
        tried(data)

    @settings(max_examples=60)
    @given(place=st.sampled_from(places(value)), to=ANYTHING)
    def check(place: tuple, to: Any) -> None:
        tried(written(changed(value, place, to)))

    check()


@pytest.mark.parametrize("entry", [{"like": "a"}, {"like": "b"}, {"like": "nobody"}])
def test_a_prompt_type_is_not_like_itself(tmp_path, entry):
    path = tmp_path / "types.json"
    path.write_bytes(lines_of({"prompt_types": {"a": entry, "b": {"like": "a"}}}))
    with pytest.raises(Problem, match="like none, or like itself"):
        templates.load("a", path)


@pytest.mark.parametrize("data", [b"", b"\xff", b"9" * 5000, "٣".encode(), b"-1", b"1 2"])
def test_a_tracker_names_an_iteration(tmp_path, data):
    path = tmp_path / checkpoint_names.TRACKER
    path.write_bytes(data)
    with pytest.raises(Problem, match="names no iteration"):
        checkpoint_names.tracked(path)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"0" * 64, b"0" * 64 + b"  another\n", b"\n\n"])
def test_a_damaged_digest_is_no_missing_one(tmp_path, data):
    path = tmp_path / "a.json"
    digests.write_json(path, {})
    digests.beside(path).write_bytes(data)
    with pytest.raises(Problem, match="a file's digest was damaged"):
        digests.read_json(path)
    assert not digests.intact(path)


@pytest.mark.parametrize(
    "text",
    ["s\tmax_rss\nfoo\t1\n", "a\tb\n1\t2\n", "s\tmax_rss\n1\n", "s\tmax_rss\nnan\tinf\n", "1" * 200_000],
)
def test_a_damaged_benchmark_measured_nothing_it_does_not_say(tmp_path, text):
    (tmp_path / "b.tsv").write_text(f"{text}\n")
    assert outcome.measured(tmp_path, "*.tsv") in [(None, None), (1.0, None)]


def test_json_of_others_has_one_reader():
    """json.loads of text that is nested too deeply raises no ValueError."""
    own = {  # data of the project, and objects of libraries
        "doctor/examination.py",
        "doctor/releases.py",
        "planning/device_facts.py",
        "planning/known_models.py",
        "tokenize/tools.py",
        "launch/mindspeed/accepted_flags.py",
        "fetch/tiny_tokenizer.py",
        "tokenize/growth.py",
        "tokenize/encoding.py",
        "tokenize/limited_template.py",
        "report/model_card.py",
        "json_files.py",
    }
    base = SCRIPTS / "distillery"
    found = {
        path.relative_to(base).as_posix()
        for path in base.rglob("*.py")
        if "json.loads(" in path.read_text(encoding="utf-8")
    }
    assert found == own
    with pytest.raises(ValueError, match="nested too deeply"):
        json_files.loads(DEEP)
