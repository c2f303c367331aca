"""What a server's answer over HTTP means: a reply, a reason to ask again, or a Problem that asking again would not cure.

The fields are those of OpenAI's completions and chat completions; `token_ids` and `stop_reason` are vLLM's,
`reasoning_content` is DeepSeek's, `matched_stop` is SGLang's.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distillery import json_files
from distillery.marks import END_THINK, THINK
from distillery.problems import Problem
from distillery.serving.api_key import ApiKey

BUSY = (429, 503)
LONGEST_WAIT = 120.0  # seconds that a server's Retry-After may ask for
SHOWN = 400  # characters of what a server said
OVERFLOW = re.compile(
    r"context.?length|maximum context|max_?(total_)?(model_len|tokens|seq_len)|too (long|many tokens)|longer than the",
    re.IGNORECASE,
)
NO_MODEL = re.compile(
    r"model\b.*(not exist|not found|unknown)|pinned to|model_not_found|no such model", re.IGNORECASE
)
DATED = re.compile(
    r"(@.+|-\d{4}-\d\d-\d\d)?"
)  # what servers add to the name they were asked for: a revision, a date


class Again(Exception):
    """This time there was no answer, another time there may be one.

    Args:
        reason: what came instead.
        wait: seconds, where the server said so.
        busy: the server has too much to do: it is asked less, and for as long as it takes.
    """

    def __init__(self, reason: str, wait: float | None = None, *, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.busy = wait, busy


@dataclass(frozen=True)
class Reply:
    """One answer.

    Attributes:
        finish: "stop" or "length".
        stop: what ended it, where the server says: a stop word, or a stop id.
        tokens: ids, where the server gives them.
        prompt_tokens, completion_tokens: as the server counts them, None where it does not.
    """

    text: str
    finish: str
    stop: str | int | None
    tokens: tuple[int, ...] | None
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True)
class Exchange:
    """What was asked of whom, for whoever reads the answer.

    Attributes:
        what: names the question in errors, `prompt 17, sample 0`.
        max_tokens: that the answer may have.
    """

    url: str
    model: str
    key: ApiKey
    what: str
    max_tokens: int


def read(asked: Exchange, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """The reply in a response.

    Raises:
        Again: the server is busy, failed, broke off, or left the answer out.
        Problem: it knows no such model, answered with another, refuses key or question, or its context is too short.
    """
    if status != 200:
        raise _refusal(asked, status, headers, body)
    try:
        whole = json_files.loads(body)
    except ValueError:
        raise Again(f"an answer that is no JSON: {_shown(asked, body)}") from None
    choice = _first(whole)
    if choice is None:
        raise Again(f"an answer without choices: {_shown(asked, body)}")
    _check_model(asked, whole.get("model"))
    text, finish = _text(choice), choice.get("finish_reason")
    if text is None:
        raise Again(f"an answer without content: {_shown(asked, body)}")
    if finish not in ("stop", "length"):
        raise Again(f"an answer that the server cut: finish_reason {finish!r}")
    usage = whole.get("usage") if isinstance(whole.get("usage"), dict) else {}
    count = usage.get("completion_tokens")
    if finish == "length" and isinstance(count, int) and count < asked.max_tokens:
        raise Problem(
            "the server cut an answer before the length that was asked for",
            where=f"{asked.url}, {asked.what}",
            found=f"finish_reason length after {count} tokens",
            wanted=f"{asked.max_tokens} tokens",
            fix="raise the server's own limit (vLLM: --max-model-len), or ask for fewer: generate.max_new_tokens",
        )
    ids = choice.get("token_ids")
    whole_ids = isinstance(ids, list) and all(type(one) is int for one in ids)
    return Reply(
        text,
        finish,
        choice.get("stop_reason", choice.get("matched_stop")),
        tuple(ids) if whole_ids else None,
        usage.get("prompt_tokens"),
        count,
    )


def _first(whole: Any) -> dict[str, Any] | None:
    choices = whole.get("choices") if isinstance(whole, dict) else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _text(choice: Mapping[str, Any]) -> str | None:
    """The text of a completion or of a message, thoughts of their own field in their tags; None where there is none."""
    if "message" not in choice:
        return choice["text"] if isinstance(choice.get("text"), str) else None
    message = choice["message"] if isinstance(choice["message"], dict) else {}
    content = message.get("content")
    thoughts = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thoughts, str):
        return f"{THINK}\n{thoughts.strip()}\n{END_THINK}\n\n{content or ''}"
    return content if isinstance(content, str) else None


def _check_model(asked: Exchange, name: Any) -> None:
    same = (
        isinstance(name, str) and name.startswith(asked.model) and DATED.fullmatch(name[len(asked.model) :])
    )
    if name is not None and not same:
        raise Problem(
            "another model has answered",
            where=f"{asked.url}, {asked.what}",
            found=name,
            wanted=asked.model,
            fix="look what serves at that address, or write servers.<name>.model as the server names it",
        )


def _refusal(asked: Exchange, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
    """Why there is no reply, of a response with another status than 200."""
    said = _shown(asked, body)
    if status in BUSY:
        return Again(f"status {status}: {said}", retry_after(headers), busy=True)
    if status >= 500 or status == 408:
        return Again(f"status {status}: {said}", retry_after(headers))
    place = {"where": f"{asked.url}, {asked.what}", "found": f"status {status}: {said}"}
    if status in (401, 403):
        return Problem(
            "the server refuses the key" if asked.key.variable else "the server wants a key",
            **place,
            fix=f"correct the value of {asked.key.variable}"
            if asked.key.variable
            else "name the variable that holds it: servers.<name>.api_key_env",
        )
    if NO_MODEL.search(said) or (status == 404 and "model" in said.lower()):
        return Problem(
            "the server has no such model",
            **place,
            wanted=asked.model,
            fix=f"write servers.<name>.model as {asked.url}/v1/models names it",
        )
    if OVERFLOW.search(said):
        return Problem(
            "prompt and answer do not fit into the server's context",
            **place,
            wanted=f"room for the prompt and {asked.max_tokens} new tokens",
            fix="start the server with a longer context (vLLM: --max-model-len), or lower generate.max_new_tokens",
        )
    return Problem("the server refuses the question", **place, fix="see the server's log")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks for, as a number or as a date; None where it says nothing of use."""
    said = headers.get("retry-after", "")
    try:
        wait = float(said)
    except ValueError:
        date = email.utils.parsedate_tz(said)
        wait = email.utils.mktime_tz(date) - time.time() if date else float("nan")
    return min(max(wait, 0.0), LONGEST_WAIT) if wait == wait else None


def _shown(asked: Exchange, body: bytes) -> str:
    """What a server said, short and without the key."""
    text = " ".join(body.decode(errors="replace").split())
    try:
        whole = json_files.loads(body)
        error = whole.get("error", whole) if isinstance(whole, dict) else whole
        words = error.get("message", error.get("detail")) if isinstance(error, dict) else error
        code = error.get("code") if isinstance(error, dict) else None
        text = f"{words} ({code})" if isinstance(words, str) and isinstance(code, str) else words or text
    except ValueError:
        pass
    return asked.key.hidden(str(text))[:SHOWN] or "nothing"
