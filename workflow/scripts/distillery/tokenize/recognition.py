"""Which handler reads a file, told by its columns and first rows; what `handler_name: auto` stands for.

found = recognition.of(Source(Path("rows.jsonl")))
found.handler_name, found.map_keys, found.said   # 'AlpacaStyleInstructionHandler', {"prompt": "question", ...}, '...'
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery import digests
from distillery.dataset import PLAIN_TEXT
from distillery.problems import Problem
from distillery.tokenize.readers import Source, kind_of, sources

SHAREGPT, ALPACA = "SharegptStyleInstructionHandler", "AlpacaStyleInstructionHandler"
LOOKED_AT = 64  # rows
# keys of a message, and what the roles are called beside them
MESSAGES = ("messages", "conversations", "conversation", "dialog", "dialogue")
KEYS = (("role", "content"), ("from", "value"))
USERS, ASSISTANTS, SYSTEMS = ("user", "human"), ("assistant", "gpt", "model", "bot"), ("system",)
OBSERVATIONS, FUNCTIONS = ("observation", "tool", "function_response"), ("function_call",)
# columns of a question and its answer, the commoner ones first
PAIRS = (
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("problem", "solution"),
    ("question", "solution"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("query", "response"),
    ("input", "output"),
)
TEXTS = ("text", "content")
WANTED = (
    "a column of messages (role and content, or from and value), columns such as instruction and output or question and "
    "answer, or a column text"
)


@dataclass(frozen=True)
class Recognised:
    """A handler with its map_keys, and what it was recognised by; of plain text `map_keys` names the column `text`."""

    handler_name: str
    map_keys: Mapping[str, Any]
    said: str


def run(args: argparse.Namespace) -> Recognised:
    """Write what tokenize_recognise.py finds as JSON, and return it.

    Raises:
        Problem: as `of`.
    """
    source = sources(args.input)[0]
    digests.check_file(source.path)
    found = of(source)
    digests.write_json(args.output, dataclasses.asdict(found))
    return found


def of(source: Source) -> Recognised:
    """The handler of a file.

    Raises:
        Problem: the file cannot be read, has no rows, columns that no handler reads by themselves, or fields not parted by commas.
    """
    columns = source.columns()
    if kind_of(source.path) == ".csv" and len(columns) == 1 and (other := re.search(r"[;\t|]", columns[0])):
        raise Problem(
            "a csv file whose fields are not parted by commas",
            where=source.path,
            found=f"one column, {columns[0]}",
            wanted="commas between the names in the first line, and between the fields of each row",
            fix=f"write it anew with a comma for {other[0]!r}, and texts that have one in double quotes",
        )
    rows = next(source.blocks(columns), [])[:LOOKED_AT]
    found = _messages(columns, rows) or _pair(columns, rows) or _text(columns, rows)
    if found is None:
        raise Problem(
            "no handler recognises these rows",
            where=source.path,
            found=f"columns {', '.join(columns)}" if columns else "no rows",
            wanted=WANTED,
            fix=_taught(columns, rows),
        )
    return found


def _taught(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    """What to do with columns of other names: an example with theirs, of the two with the longest texts."""
    if not columns:
        return "put rows into the file, or leave it out"
    # names of rows, numbers and labels are no questions
    lengths = {one: sum(len(row[one]) for row in rows if isinstance(row[one], str)) for one in columns}
    told = sorted(sorted(columns, key=lengths.__getitem__, reverse=True)[:2], key=columns.index)
    asks, answers, *_ = [*told, "COLUMN"]
    return (
        f"rename the columns, or write in a configuration which of them plays which part, such as handler_name: {ALPACA} and "
        f"map_keys: {json.dumps({'prompt': asks, 'query': None, 'response': answers}, ensure_ascii=False)}; for texts that are "
        f"learnt whole handler_name: {PLAIN_TEXT} and map_keys: {json.dumps({'text': asks}, ensure_ascii=False)}"
    )


def _messages(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    for column in sorted(columns, key=lambda one: (one not in MESSAGES, columns.index(one))):
        said = [turn for row in rows if isinstance(row[column], list) for turn in row[column]]
        if not said or not all(isinstance(turn, Mapping) for turn in said):
            continue
        for role_tag, content_tag in KEYS:
            if not all(role_tag in turn and content_tag in turn for turn in said):
                continue
            roles = {turn[role_tag] for turn in said}
            tags = {
                "role_tag": role_tag,
                "content_tag": content_tag,
                "user_tag": _first(USERS, roles) or USERS[role_tag == "from"],
                "assistant_tag": _first(ASSISTANTS, roles) or ASSISTANTS[role_tag == "from"],
                "system_tag": SYSTEMS[0],
            }
            for part, names in (("observation_tag", OBSERVATIONS), ("function_tag", FUNCTIONS)):
                if name := _first(names, roles):
                    tags[part] = name
            map_keys: dict[str, Any] = {"messages": column, "tags": tags}
            for part in ("system", "tools"):
                if part in columns and _are_texts(rows, part):
                    map_keys[part] = part
            others = ", ".join(f"{key} {map_keys[key]}" for key in ("system", "tools") if key in map_keys)
            said_of = f"column {column}: messages of {role_tag} ({', '.join(sorted(map(str, roles)))}) and {content_tag}"
            return Recognised(SHAREGPT, map_keys, said_of + (f"; columns {others}" if others else ""))
    return None


def _pair(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    by_name = {column.lower(): column for column in reversed(columns)}
    for asked, answered in PAIRS:
        if not (rows and asked in by_name and answered in by_name):
            continue
        map_keys: dict[str, Any] = {"prompt": by_name[asked], "query": None, "response": by_name[answered]}
        if asked == "instruction" and "input" in by_name:
            map_keys["query"] = by_name["input"]
        map_keys |= {part: by_name[part] for part in ("history", "system") if part in by_name}
        named = ", ".join(column for column in map_keys.values() if column)
        return Recognised(ALPACA, map_keys, f"columns {named}")
    return None


def _text(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Recognised | None:
    for column in (*TEXTS, *columns[: len(columns) == 1]):
        if rows and column in columns and _are_texts(rows, column):
            return Recognised(PLAIN_TEXT, {"text": column}, f"plain text in column {column}")
    return None


def _are_texts(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    values = [row[column] for row in rows if row[column] is not None]
    return bool(values) and all(isinstance(value, str) for value in values)


def _first(names: Sequence[str], roles: set[Any]) -> str | None:
    return next((name for name in names if name in roles), None)
