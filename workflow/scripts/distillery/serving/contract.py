"""What a server says of itself, and whether it reads prompts as training did: known before the first question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from distillery.generate.batch import Asked
from distillery.generate.prompter import Prompter
from distillery.problems import Problem
from distillery.serving.connection import Connection
from distillery.serving.dialects import OPENAI, SGLANG, TRANSFORMERS, VLLM, Manner
from distillery.serving.replies import Again, Exchange

# paths at which a server tells its version, by its kind
VERSIONS = (("/version", VLLM), ("/get_server_info", SGLANG), ("/server_info", SGLANG))
SHOWN = 60  # ids of each side that an error shows
ATTEMPTS = 3


@dataclass(frozen=True)
class Introduced:
    """What a server is: its kind, and its version where it says one."""

    kind: str
    version: str | None


async def introduce(site: Connection, engine: str | None) -> Introduced:
    """Ask a server what it is.

    Args:
        engine: as the configuration says it; None: told by what the server answers.

    Raises:
        Problem: it cannot be reached.
    """
    for path, kind in VERSIONS:
        if engine in (None, kind):
            found = await _look(site, path)
            if isinstance(found, dict) and isinstance(found.get("version"), str):
                return Introduced(kind, found["version"])
    if engine is None:
        await _look(site, "/v1/models")  # is there anything at all?
    return Introduced(engine or OPENAI, None)


async def check(site: Connection, manner: Manner, voice: Prompter, asked: Sequence[Asked]) -> str:
    """Hold a server against what is to be asked: model, context, and the ids of the first prompt.

    Returns:
        how prompts were compared: "tokenize", "prompt_tokens", or "nothing to compare".

    Raises:
        Problem: it has no such model, a shorter context, or reads the prompt as other ids.
    """
    longest = max(len(one.ids) for one in asked) + manner.max_tokens
    await _check_model(site, manner, longest)
    probe = asked[0]
    chat = manner.endpoint == "chat"
    text = voice.rendered(probe.ids)
    question = (
        {"messages": list(probe.prompt.messages), "add_generation_prompt": True} if chat else {"prompt": text}
    )
    found = await _look(site, "/tokenize", {"model": manner.model, "add_special_tokens": False, **question})
    ids = found.get("tokens") if isinstance(found, dict) else None
    if isinstance(ids, list) and all(type(one) is int for one in ids):
        if ids != list(probe.ids):
            raise _unlike(site, probe, voice, _listed(ids, voice))
        return "tokenize"
    count = await counted(site, manner, voice, probe)
    if count is None:
        return "nothing to compare"
    if count != len(probe.ids):
        raise _unlike(site, probe, voice, f"{count} tokens")
    return "prompt_tokens"


def check_texts(voice: Prompter, asked: Sequence[Asked]) -> None:
    """See that prompts which are asked as texts are read as the ids they were rendered to.

    Raises:
        Problem: naming the first prompt whose text has other ids.
    """
    for one in asked:
        again = voice.tokenizer.encode(voice.rendered(one.ids))
        if one.sample == 0 and again != list(one.ids):
            raise Problem(
                "a prompt's text has other ids than training saw, and this server takes no ids",
                where=f"prompt {one.prompt.id}",
                found=_listed(again, voice),
                wanted=_listed(one.ids, voice),
                fix="use a server that takes token ids (vllm, sglang), or the built-in engine",
            )


async def _check_model(site: Connection, manner: Manner, longest: int) -> None:
    if manner.kind == TRANSFORMERS:  # it lists its cache, not what it serves
        return
    listed = await _look(site, "/v1/models")
    data = listed.get("data") if isinstance(listed, dict) else None
    models = {
        one["id"]: one for one in data or [] if isinstance(one, dict) and isinstance(one.get("id"), str)
    }
    if not models:
        return
    if manner.model not in models:
        raise Problem(
            "the server has no such model",
            where=f"{site.url}/v1/models",
            found=", ".join(sorted(models)),
            wanted=manner.model,
            fix="write servers.<name>.model as the server names it",
        )
    room = models[manner.model].get("max_model_len")
    if isinstance(room, int) and room < longest:
        raise Problem(
            "prompts and answers do not fit into the server's context",
            where=f"{site.url}/v1/models, max_model_len",
            found=room,
            wanted=f"at least {longest}: the longest prompt and {manner.max_tokens} new tokens",
            fix="start the server with a longer context (vLLM: --max-model-len), or lower generate.max_new_tokens",
        )


async def counted(site: Connection, manner: Manner, voice: Prompter, probe: Asked) -> int | None:
    """Tokens of a prompt as the server counts them, of a question for one token; None where it does not say.

    Raises:
        Problem: it does not answer.
    """
    short = replace(manner, max_tokens=1)
    body = short.question(probe.prompt.messages, probe.ids, voice.rendered(probe.ids), probe.seed)
    exchange = Exchange(site.url, manner.model, site.key, f"prompt {probe.prompt.id}, as a probe", 1)
    for attempt in range(ATTEMPTS):
        try:
            return (await site.ask(manner.path, body, exchange)).prompt_tokens
        except Again as again:
            if attempt + 1 == ATTEMPTS:
                raise _away(site, again) from None
    return None


async def _look(site: Connection, path: str, body: dict[str, Any] | None = None) -> Any:
    for attempt in range(ATTEMPTS):
        try:
            return await site.look(path, body)
        except Again as again:
            if attempt + 1 == ATTEMPTS:
                raise _away(site, again) from None
    return None


def _away(site: Connection, again: Again) -> Problem:
    return Problem(
        "the server does not answer",
        where=site.url,
        found=str(again),
        fix="start it, or correct servers.<name>.url; a server that the job shall start has python in place of url",
    )


def _unlike(site: Connection, probe: Asked, voice: Prompter, found: str) -> Problem:
    return Problem(
        "the server reads prompts otherwise than training did: the model would see what it does not know",
        where=f"{site.url}, prompt {probe.prompt.id}",
        found=found,
        wanted=_listed(probe.ids, voice),
        fix="serve the exported directory with its own tokenizer and chat template; endpoint: completions asks with "
        "the ids of training's template",
    )


def _listed(ids: Sequence[int], voice: Prompter) -> str:
    """Ids and the text that they are, at most so many of them."""
    more = " ..." if len(ids) > SHOWN else ""
    text = json.dumps(voice.rendered(ids[:SHOWN]), ensure_ascii=False)
    return f"{len(ids)} tokens: {' '.join(map(str, ids[:SHOWN]))}{more}, which is {text}"
