"""Prompts: from a parquet problem set, a JSON-lines file or a single question to chat messages.

JSON-lines rows hold one of `messages` ([{"role", "content"}], the last one the user's), `problem` or
`prompt` (text of the user's turn), and may hold `id` or `uuid` (the row's number by default) and `seed`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import digests, parquet_files
from distillery.problems import Problem

QUESTION = "how are you?"  # what the reference's inference.py asks


@dataclass(frozen=True)
class Prompt:
    """A conversation that waits for its answer.

    Args:
        id: unique in its file.
        messages: role and content of each turn, a system turn only at the start, the user's at the end.
        seed: replaces the one derived from the command's seed.
    """

    id: str
    messages: tuple[Mapping[str, str], ...]
    seed: int | None = None

    @property
    def text(self) -> str:
        return self.messages[-1]["content"]


def question(text: str = QUESTION) -> list[Prompt]:
    """One prompt that is not in a file."""
    return [Prompt("question", ({"role": "user", "content": text},))]


def read(path: Path) -> list[Prompt]:
    """Prompts of a .parquet, .jsonl or .json file, in its order.

    Raises:
        Problem: no such file, no rows, a row without a prompt, or two rows with one id.
    """
    if not path.is_file():
        raise Problem("no such prompt file", where=path, fix="give a .parquet problem set or a .jsonl file")
    if path.suffix == ".parquet":
        rows = _parquet(path)
    elif path.suffix in (".jsonl", ".json"):
        rows = [(number, _json(line, f"{path}, line {number}")) for number, line in _lines(path)]
    else:
        raise Problem(
            "prompts cannot be read from this kind of file",
            where=path,
            found=path.suffix or "no suffix",
            wanted=".parquet, .jsonl or .json",
        )
    prompts = [_prompt(row, number, f"{path}, row {number}") for number, row in rows]
    if not prompts:
        raise Problem("the prompt file is empty", where=path, wanted="at least one row")
    twice, count = Counter(prompt.id for prompt in prompts).most_common(1)[0]
    if count > 1:
        raise Problem(
            "two prompts have one id", where=path, found=f"{twice} {count} times", wanted="unique ids"
        )
    return prompts


def _lines(path: Path) -> list[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: U+2028 may stand in a text
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _parquet(path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    digests.check_file(path)
    wanted = ("id", "uuid", "problem", "prompt", "messages", "seed")
    with closing(parquet_files.Table(path)) as table:
        columns = [name for name in wanted if name in table.names]
    return list(enumerate(parquet_files.rows(path, columns), 1))


def _json(line: str, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise Problem(
            "a line is not JSON", where=where, found=error, wanted="one JSON object a line"
        ) from None
    if not isinstance(row, dict):
        raise Problem("a line is no JSON object", where=where, found=type(row).__name__, wanted="an object")
    return row


def _prompt(row: Mapping[str, Any], number: int, where: str) -> Prompt:
    # an empty question is a question: whoever made the file kept it, and counted it
    text = next((row[key] for key in ("problem", "prompt") if row.get(key) is not None), None)
    messages = row.get("messages") or ([] if text is None else [{"role": "user", "content": text}])
    kinds = {"user": "assistant", "assistant": "user"}
    turns = messages[1:] if messages and messages[0].get("role") == "system" else messages
    roles = [turn.get("role") for turn in turns]
    good = roles and roles[0] == "user" and roles[-1] == "user"
    good = good and all(after == kinds.get(role) for role, after in zip(roles, roles[1:], strict=False))
    if not good or not all(isinstance(turn.get("content"), str) for turn in messages):
        raise Problem(
            "a row holds no prompt",
            where=where,
            found=f"roles {[turn.get('role') for turn in messages]}" if messages else sorted(row),
            wanted="problem, prompt, or messages that alternate and end with the user's",
            fix="correct or remove the row",
        )
    seed = row.get("seed")
    named = [row[key] for key in ("id", "uuid") if row.get(key) is not None]  # 0 is a name like any other
    return Prompt(str([*named, number][0]), tuple(messages), seed)
