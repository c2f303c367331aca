"""A prompt type as the Jinja text that transformers calls a chat template.

A chat template joins all text and tokenizes it once; a prompt type tokenizes piece by piece. Both give the
same ids only where every joint is guarded by an added token, which no merge can cross. Where a joint of the
prompt is not (plain-text markers, or a system text that touches the user's), there is no equal chat template, and
`build` returns None. One joint is left to its fate: that between `assistant\\n` and an earlier answer in the history,
equal unless the answer begins with white space.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from distillery.tokenize.tokenizer import HubTokenizer

if TYPE_CHECKING:
    from distillery.tokenize.templates import Piece, Template

CONTENT = "{{content}}"


def build(template: Template, tokenizer: HubTokenizer) -> str | None:
    """Jinja text that renders system, user, assistant and tool messages as `template` does, or None."""
    parts = {
        name: _texts(getattr(template, name), tokenizer)
        for name in ("prefix", "system", "user", "assistant", "observation", "separator")
    }
    if any(texts is None for texts in parts.values()):
        return None
    prefix, system, user, assistant, observation, separator = (list(texts) for texts in parts.values())  # type: ignore[arg-type]
    source = (prefix if template.system_in_user else prefix + system) + user
    turns = [source, user, observation, separator + user, assistant[assistant.index(CONTENT) :] + separator]
    if not all(_guarded(pieces, tokenizer) for pieces in turns if pieces):
        return None
    content, added = "content", _added(tokenizer)
    default = _quote(template.default_system)
    # plain names: vLLM reads which of them is made of `messages`, and cannot follow a namespace
    lines = [
        "{%- if messages[0]['role'] == 'system' -%}",
        "{%- set system = messages[0]['content'] -%}{%- set turns = messages[1:] -%}",
        "{%- else -%}{%- set system = '' -%}{%- set turns = messages -%}{%- endif -%}",
        f"{{%- if not system -%}}{{%- set system = {default} -%}}{{%- endif -%}}",
        _print(prefix),
    ]
    if template.system_in_user:
        inlay = _expression(system, "system")
        content = f"(({inlay} if system and loop.first else '') + content)"
    else:
        lines.append(f"{{%- if system -%}}{_print(system, 'system')}{{%- endif -%}}")
    lines += [
        "{%- for message in turns -%}",
        "{%- set content = message['content'] -%}",
        f"{{%- if loop.index0 > 0 and loop.index0 % 2 == 0 -%}}{_print(separator)}{{%- endif -%}}"
        if separator
        else "",
        "{%- if message['role'] == 'user' -%}",
        _asking(user, added, content, numbered=not template.system_in_user),
        "{%- elif message['role'] == 'tool' -%}",
        _asking(observation, added),
        "{%- else -%}",
        _print(assistant),
        "{%- endif -%}",
        "{%- endfor -%}",
    ]
    return "".join(lines)


def _asking(
    texts: list[str], added: tuple[str, ...], content: str = "content", numbered: bool = False
) -> str:
    """A turn that asks, and behind it what opens the answer: not where the conversation ends and no answer is wanted."""
    shown = [text for text in texts if text != "\0"]
    at = shown.index(CONTENT) + 1 if CONTENT in shown else len(shown)
    before, opening = shown[:at], "".join(shown[at:])
    cut = _opens(opening, added)
    closing, opening = opening[:cut], opening[cut:]
    turn = _print([*before, *([closing] if closing else [])], content, numbered)
    if not opening:
        return turn
    return f"{turn}{{%- if add_generation_prompt or not loop.last -%}}{_print([opening], numbered=numbered)}{{%- endif -%}}"


def _opens(tail: str, added: tuple[str, ...]) -> int:
    """Where in the text behind a question the answer's turn begins.

    That is the marker before, or around, the word `assistant`; without the word the last marker, unless the tail begins with it:
    then it ends the question.
    """
    starts = sorted(
        {match.start() for token in added if token for match in re.finditer(re.escape(token), tail)}
    )
    word = re.search("assistant", tail, re.IGNORECASE)
    if word:
        return max((start for start in starts if start <= word.start()), default=word.start())
    return starts[-1] if starts and starts[-1] > 0 else len(tail)


def _texts(slots: tuple[Piece, ...], tokenizer: HubTokenizer) -> list[str] | None:
    """Slots split at the content, tokens as the texts that spell them; None if one has no such text."""
    texts: list[str] = []
    for slot in slots:
        if not isinstance(slot, str):
            token = slot.token or tokenizer.tokens[slot.special or ""]
            if token is None:
                continue
            if tokenizer.encode(token) != [tokenizer.id_of(token)]:
                return None
            texts.append(token)
            continue
        before, found, after = slot.partition(CONTENT)
        # "\0" marks where a slot begins: the joints that need a guard
        texts += [
            "\0",
            *([before] if before else []),
            *([CONTENT] if found else []),
            *([after] if after else []),
        ]
    return texts


def _guarded(texts: list[str], tokenizer: HubTokenizer) -> bool:
    """Whether each slot but the first of `texts` is parted from what comes before it by an added token."""
    added = _added(tokenizer)
    shown = [position for position, text in enumerate(texts) if text != "\0"]
    for position, text in enumerate(texts):
        if text != "\0" or not (before := [p for p in shown if p < position]):
            continue
        left, right = texts[before[-1]], texts[position + 1]
        if not (left.endswith(added) or right.startswith(added)):
            return False
    return True


def _added(tokenizer: HubTokenizer) -> tuple[str, ...]:
    """The texts that are cut out before anything is merged."""
    return tuple(token.content for token in tokenizer.backend.get_added_tokens_decoder().values())


def _quote(text: str) -> str:
    """A Jinja string literal; escapes as in JSON, and no brace pair that a lexer could take for its own."""
    return json.dumps(text).replace("{", "\\x7b")


def _expression(texts: list[str], content: str) -> str:
    shown = [text for text in texts if text != "\0"]
    return " + ".join(content if text == CONTENT else _quote(text) for text in shown)


def _print(texts: list[str], content: str = "content", numbered: bool = False) -> str:
    expression = _expression(texts, content)
    if not expression:
        return ""
    if numbered and any("{{idx}}" in text for text in texts):
        number = "(loop.index0 // 2) | string"
        expression = f"({expression}) | replace({_quote('{{idx}}')}, {number}, 1)"
    return f"{{{{- {expression} -}}}}"
