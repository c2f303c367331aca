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

from distillery import digests, json_files, json_rows, parquet_files
from distillery.problems import Problem

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
    check_text(text, "--prompt")
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
        columns = [name for name in wanted if name in table.names]
    return enumerate(parquet_files.each_row(path, columns), 1)


def _prompt(row: Mapping[str, Any], number: int, where: str) -> Prompt:
    # an empty question is a question: whoever made the file kept it, and counted it
    text = next((row[key] for key in ("problem", "prompt") if row.get(key) is not None), None)
    messages = row.get("messages") or ([] if text is None else [{"role": "user", "content": text}])
    if fault := _fault(messages):
        raise Problem(
            "a row holds no prompt",
            where=where,
            found=fault if messages else f"only {', '.join(sorted(row))}",
            wanted='problem, prompt, or messages: [{"role": "user", "content": "text"}, ...] that alternate and end with the user\'s',
            fix="correct or remove the row",
        )
    for turn in messages:
        check_text(turn["content"], where)
    seed = row.get("seed")
    named = [row[key] for key in ("id", "uuid") if row.get(key) is not None]  # 0 is a name like any other
    return Prompt(str([*named, number][0]), tuple(messages), seed)


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
    return next((name for kind, name in json_files.NAMES.items() if isinstance(value, kind)), "nothing")


def check_text(text: str, where: str) -> None:
    """Refuse text that UTF-8 cannot say: half of a character from a JSON escape, or bytes of another encoding in a command.

    Raises:
        Problem: naming the character's place.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Problem(
            "text without a UTF-8 form",
            where=f"{where}, character {error.start}",
            found=ascii(text[max(0, error.start - 10) : error.start + 10]),
            wanted="whole characters",
            fix="correct the text: an escape such as \\ud83d needs its other half, and a command line must be UTF-8",
        ) from None
