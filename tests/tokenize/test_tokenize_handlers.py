"""Rows that cannot become a conversation are refused with the reason, and map-keys with what is allowed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from distillery.dataset import PLAIN_TEXT
from distillery.problems import UsageProblem
from distillery.tokenize import alpaca, handlers, tools
from distillery.tokenize.conversation import Rejected

SHAREGPT, ALPACA = "SharegptStyleInstructionHandler", "AlpacaStyleInstructionHandler"


def said(*turns: tuple[Any, Any]) -> dict:
    return {"conversations": [{"from": role, "value": text} for role, text in turns]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"conversations": None}, "messages is not a list"),
        ({"conversations": "text"}, "messages is not a list"),
        ({"conversations": []}, "no messages"),
        ({"conversations": ["text"]}, "a message is not a record of role and content"),
        (said(("system", "s")), "no messages but the system's"),
        (said(("human", "a")), "an odd number of messages"),
        (said(("human", None), ("gpt", None)), "no message has content"),
        (said(("gpt", "a"), ("human", "b")), "a role out of turn"),
        (said(("human", "a"), ("GPT", "b")), "a role out of turn"),
        (said(("human", "a"), (None, "b")), "a role out of turn"),
        (said(("human", 5), ("gpt", "b")), "content is not a text"),
        (said(("human", "\ud800"), ("gpt", "b")), "content is not valid Unicode"),
        (said(("system", 1), ("human", "a"), ("gpt", "b")), "content is not a text"),
    ],
)
def test_sharegpt_rows_that_are_refused(row: dict, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        handlers.mapped(SHAREGPT, None).convert(row)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"output": None}, "no output"),
        ({"output": []}, "no output"),
        ({"output": 5}, "output is not a text"),
        ({"output": [None]}, "content is not a text"),
        ({"instruction": 5}, "content is not a text"),
        ({"history": [["a"]]}, "history is not a list of pairs"),
        ({"history": ["abc"]}, "history is not a list of pairs"),
        ({"history": {"a": "b"}}, "history is not a list of pairs"),
        ({"history": [["a", None]]}, "content is not a text"),
    ],
)
def test_alpaca_rows_that_are_refused(changes: dict, reason: str) -> None:
    row = {"instruction": "i", "input": "", "output": "o", "history": None} | changes
    with pytest.raises(Rejected) as caught:
        handlers.mapped(ALPACA, {"history": "history"}).convert(row)
    assert caught.value.reason == reason


@pytest.mark.parametrize("history", [["qa"], [{"q": "question", "a": "answer"}], {"qa": "answer"}])
def test_history_that_is_no_pairs_is_kept_as_the_reference_reads_it(history: Any) -> None:
    """MindSpeed-LLM 2.2.0 unpacks whatever has two parts: letters of a text, names of a record's keys."""
    row = {"instruction": "i", "input": "", "output": "o", "history": history}
    made = handlers.mapped(ALPACA, {"history": "history"}).convert(row)
    assert [message.content for message in made.messages] == ["q", "a", "i", "o"]
    assert made.notes == (alpaca.NO_PAIRS,)


@pytest.mark.parametrize(
    ("handler", "map_keys", "words"),
    [
        (SHAREGPT, {"msgs": "messages"}, r"(?s)msgs.*messages, system, tools, tags"),
        (SHAREGPT, {"tags": {"role": "role"}}, "(?s)role.*role_tag"),
        (SHAREGPT, {"tags": {"user_tag": "user"}}, "role_tag and content_tag"),
        (SHAREGPT, {"tags": "role"}, "not a JSON object"),
        (SHAREGPT, {"messages": None}, "no column of messages"),
        (SHAREGPT, {"messages": ["a"]}, "not the name of a column"),
        (ALPACA, {"messages": "m"}, "(?s)messages.*prompt, query"),
        (ALPACA, ["prompt"], "not a JSON object"),
        (PLAIN_TEXT, {"text": None}, "no column of texts"),
        (PLAIN_TEXT, {"messages": "m"}, "(?s)messages.*wanted: +text"),
        ("Alpaca", None, "GeneralPretrainHandler"),
        ("", None, "nothing"),
    ],
)
def test_map_keys_that_are_refused(handler: str, map_keys: Any, words: str) -> None:
    with pytest.raises(UsageProblem, match=words):
        handlers.mapped(handler, map_keys)


def test_both_maps_of_the_guide() -> None:
    renamed = {
        "prompt": "notice",
        "query": "question",
        "response": "answer",
        "system": "system_test",
        "history": "histories",
    }
    assert handlers.mapped(ALPACA, renamed).columns() == [
        "notice",
        "question",
        "answer",
        "histories",
        "system_test",
    ]
    assert handlers.mapped(ALPACA, {"history": "histories"}).columns() == [
        "instruction",
        "input",
        "output",
        "histories",
    ]
    assert handlers.mapped(ALPACA, {"query": None, "rejected": "r"}).columns() == ["instruction", "output"]


@pytest.mark.parametrize("content", ["", "not json", '{"name": "a"}', "[1]"])
def test_calls_that_are_no_calls(content: str) -> None:
    """The plain style renders them empty, as the reference; with tags it crashes on them there and refuses here."""
    assert tools.call(("{{name}}|{{arguments}}",), content, "action") == ["|"]
    with pytest.raises(Rejected, match="not JSON of name and arguments"):
        tools.call(("{{content}}",), content, "tool_call_tags")


def test_calls_that_no_slot_can_hold() -> None:
    with pytest.raises(Rejected, match="name is not a text"):
        tools.call(("{{name}}",), '{"name": 5, "arguments": {}}', "action")
    with pytest.raises(Rejected, match="without a tool format"):
        tools.call((), "{}", "broken")


def test_parallel_calls_in_tags() -> None:
    calls = json.dumps([{"name": "a", "arguments": {"é": 1}}, {"name": "b", "arguments": []}])
    (text,) = tools.call(("{{content}}<|end|>",), f"<think>x</think>{calls}", "tool_call_tags")
    assert text == (
        '<think>x</think><tool_call>\n{"name": "a", "arguments": {"é": 1}}\n</tool_call>\n'
        '<tool_call>\n{"name": "b", "arguments": []}\n</tool_call><|end|>'
    )
