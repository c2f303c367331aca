"""Prompts: from a parquet problem set, a JSON-lines file or a single question to chat messages.

JSON-lines rows hold one of `messages` ([{"role", "content"}], the last one the user's), `problem` or
`prompt` (text of the user's turn), and may hold `id` or `uuid` (the row's number by default) and `seed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import digests, json_files, json_rows, parquet_files, whole_text
from distillery.problems import Problem

TEXTS = "problem", "prompt"  # keys of the user's turn
SEEDS = 1 << 53  # every JSON reader keeps a smaller one whole
QUESTION = "how are you?"  # what the reference's inference.py asks


@dataclass(frozen=True, slots=True)
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
    """One prompt that is not in a file.

    Raises:
        Problem: text without a UTF-8 form.
    """
    whole_text.check(text, "--prompt")
    return [Prompt("question", ({"role": "user", "content": text},))]


def read(path: Path) -> list[Prompt]:
    """Prompts of a .parquet, .jsonl or .json file (lines or one array), in its order.

    Raises:
        Problem: no such file, no rows, a row without a prompt, or two rows with one id.
    """
    if not path.is_file():
        raise Problem("no such prompt file", where=path, fix="give a .parquet problem set or a .jsonl file")
    if path.suffix == ".parquet":
        rows = _parquet(path)
    elif {".jsonl", ".json"} & set(path.suffixes[-2:]):
        rows = json_rows.read(path)
    else:
        raise Problem(
            "prompts cannot be read from this kind of file",
            where=path,
            found=path.suffix or "no suffix",
            wanted=".parquet, .jsonl or .json, of which the last two may be packed: .gz, .zst",
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


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    digests.check_file(path)
    wanted = ("id", "uuid", "problem", "prompt", "messages", "seed")
    with closing(parquet_files.Table(path)) as table:
        names = table.names
    columns = [name for name in wanted if name in names]
    if not set(TEXTS).union(["messages"]).intersection(columns):
        raise Problem(
            "a file without prompts",
            where=path,
            found=", ".join(names) or "no columns",
            wanted="a column problem, prompt or messages",
        )
    return enumerate(parquet_files.each_row(path, columns), 1)


def _prompt(row: Mapping[str, Any], number: int, where: str) -> Prompt:
    # an empty question is a question: whoever made the file kept it, and counted it
    key = next((key for key in TEXTS if row.get(key) is not None), None)
    messages = row.get("messages") or ([{"role": "user", "content": row[key]}] if key else [])
    if fault := _fault(messages) if messages else _nothing(row):
        raise Problem(
            "a row holds no prompt",
            where=where,
            found=fault if row.get("messages") else fault.replace("messages.0.content", str(key)),
            wanted='problem, prompt, or messages: [{"role": "user", "content": "text"}, ...] that alternate and end with the user\'s',
            fix="correct or remove the row",
        )
    for turn in messages:
        whole_text.check(turn["content"], where)
    named = [row[key] for key in ("id", "uuid") if row.get(key) is not None]  # 0 is a name like any other
    name, seed = [*named, number][0], row.get("seed")
    if isinstance(name, bool) or not isinstance(name, (str, int)):
        raise _unusable("an id", where, name, "text or a whole number")
    whole_text.check(str(name), f"{where}, id")
    if seed is not None and (type(seed) is not int or not 0 <= seed < SEEDS):
        raise _unusable("a seed", where, seed, f"a whole number from 0 to {SEEDS - 1}")
    return Prompt(str(name), tuple(messages), seed)


def _unusable(what: str, where: str, found: Any, wanted: str) -> Problem:
    kind = f"{_kind(found)}: {str(found)[:80]!r}"
    return Problem(
        f"{what} that cannot be used", where=where, found=kind, wanted=wanted, fix="correct the row"
    )


def _nothing(row: Mapping[str, Any]) -> str:
    """What a row has that asks nothing."""
    asked = [key for key in (*TEXTS, "messages") if key in row]
    if asked:
        return ", ".join(
            f"{key} is {'an empty list' if row[key] == [] else _kind(row[key])}" for key in asked
        )
    return f"only {', '.join(sorted(row))}" if row else "an empty object"


def _fault(messages: Any) -> str | None:
    """What keeps a row's messages from being a conversation that waits for its answer; None if nothing does."""
    if not isinstance(messages, list):
        return f"messages is {_kind(messages)}: {str(messages)[:80]!r}"
    for place, turn in enumerate(messages):
        if not isinstance(turn, Mapping):
            return f"messages.{place} is {_kind(turn)}: {str(turn)[:80]!r}"
        content = turn.get("content")
        if not isinstance(content, str):
            return f"messages.{place}.content is {_kind(content)}: {str(content)[:80]!r}"
    turns = messages[1:] if messages and messages[0].get("role") == "system" else messages
    roles = [turn.get("role") for turn in turns]
    good = roles and len(roles) % 2 and roles == (["user", "assistant"] * len(roles))[: len(roles)]
    return None if good else f"roles {[turn.get('role') for turn in messages]}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return next((name for kind, name in json_files.NAMES.items() if isinstance(value, kind)), "nothing")
