"""Prompt types: how a conversation becomes pieces of text and tokens, and which tokens end an answer.

The 28 prompt types of the reference live in templates.json, one entry each; adding one is adding an entry.
A slot is a string with `{{content}}` (and `{{idx}}`, the turn number, in user slots), `{"token": t}` for one
vocabulary entry, or `{"special": "bos"|"eos"}` for the tokenizer's own, which is nothing where it has none.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import json_files, json_shapes
from distillery.marks import END_THINK, THINK
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import reference_templates, tools
from distillery.tokenize.conversation import ASSISTANT, FUNCTION, OBSERVATION, USER, Conversation

TEMPLATES = Path(__file__).with_name("templates.json")
EMPTY_THOUGHT = f"{THINK}\n\n{END_THINK}\n\n"
# of an entry: what a key holds
SHAPE = {
    **dict.fromkeys(reference_templates.PARTS, list),
    **dict.fromkeys(("default_system", "tools", "function_calls"), str),
    **dict.fromkeys(("efficient_eos", "replace_eos", "system_in_user", "reasoning"), bool),
    "stop_words": [str],
}
_THOUGHT = re.compile(re.escape(THINK) + "(.*?)" + re.escape(END_THINK), re.DOTALL)


@dataclass(frozen=True)
class Mark:
    """A slot that is a token and not text: the token `token`, or the tokenizer's bos or eos."""

    token: str | None = None
    special: str | None = None


Piece = str | Mark
EOS = Mark(special="eos")


@dataclass(frozen=True)
class Template:
    """One prompt type. Each of `prefix` ... `separator` is a tuple of slots.

    Attributes:
        stop_words: with `replace_eos` the first becomes the tokenizer's eos; all of them stop generation.
        efficient_eos: no eos after each answer, a single one after the last.
        system_in_user: the system text is put into the first user slot (Llama 2).
        reasoning: answers without thoughts get an empty one (Qwen3), and over-long rows are cut, not dropped.
        tool_style, function_style: see `distillery.tokenize.tools`.
    """

    name: str
    prefix: tuple[Piece, ...] = ()
    system: tuple[Piece, ...] = ("{{content}}",)
    user: tuple[Piece, ...] = ("{{content}}",)
    assistant: tuple[Piece, ...] = ("{{content}}", EOS)
    function: tuple[Piece, ...] = ("Action: {{name}}\nAction Input: {{arguments}}", EOS)
    observation: tuple[Piece, ...] = ("{{content}}",)
    separator: tuple[Piece, ...] = ()
    default_system: str = ""
    stop_words: tuple[str, ...] = ()
    efficient_eos: bool = False
    replace_eos: bool = False
    system_in_user: bool = False
    reasoning: bool = False
    tool_style: str = "default"
    function_style: str = "action"

    def trained_end(self, eos: str | None) -> str | None:
        """The token that ends every answer in training: the first stop word, or the tokenizer's eos; None where none does."""
        ends = self.efficient_eos or EOS in self.assistant
        if not ends:
            return None
        return self.stop_words[0] if self.replace_eos and self.stop_words else eos

    def stop_tokens(self, eos: str | None) -> list[str]:
        """Tokens that generation stops at, the tokenizer's eos among them."""
        return list(dict.fromkeys(filter(None, [*self.stop_words, eos])))

    def render(self, conversation: Conversation) -> list[list[Piece]]:
        """One list of pieces for each message; every piece is tokenized on its own.

        Raises:
            Rejected: tools or a function call that this prompt type cannot render.
        """
        if conversation.is_text:
            return [[conversation.messages[0].content, *[EOS] * (not self.efficient_eos)]]
        system = conversation.system or self.default_system
        opening: list[Piece] = list(self.prefix)
        inlay = ""
        if system or conversation.tools:
            text = system + tools.describe(conversation.tools, self.tool_style)
            if self.system_in_user:
                inlay = str(fill(self.system, text)[0])
            else:
                opening += fill(self.system, text)
        rendered = []
        for position, message in enumerate(conversation.messages):
            pieces = opening if position == 0 else list(self.separator) if position % 2 == 0 else []
            if message.role == USER:
                index = None if self.system_in_user else position // 2
                pieces = pieces + fill(self.user, inlay + message.content, index)
            elif message.role == ASSISTANT:
                pieces = pieces + fill(self.assistant, message.content)
            elif message.role == OBSERVATION:
                pieces = pieces + fill(self.observation, message.content)
            else:
                assert message.role == FUNCTION, message.role
                pieces = pieces + tools.call(self.function, message.content, self.function_style)
            inlay = ""  # the system text belongs to the first message only, whatever its role
            rendered.append(pieces)
        return rendered


def fill(slots: tuple[Piece, ...], content: str, index: int | None = None) -> list[Piece]:
    """Slots with `{{content}}` and then `{{idx}}` replaced, once each per slot.

    In that order, as the reference: an `{{idx}}` inside the user's own text becomes the turn number.
    """
    pieces: list[Piece] = []
    for slot in slots:
        if isinstance(slot, str):
            # most answers' slot is the content alone, of which no copy is made
            slot = content if slot == "{{content}}" else slot.replace("{{content}}", content, 1)
            if index is not None:
                slot = slot.replace("{{idx}}", str(index), 1)
        pieces.append(slot)
    return pieces


def without_thought(text: str) -> str:
    """The answer with every closed <think> block cut out, and the line ends before it."""
    return _THOUGHT.sub("", text).lstrip("\n")


@functools.cache
def names(path: Path = TEMPLATES) -> tuple[str, ...]:
    """All prompt types of the data file."""
    return tuple(_entries(path))


@functools.cache
def load(name: str, path: Path = TEMPLATES) -> Template:
    """The prompt type `name`.

    Raises:
        UsageProblem: no such prompt type.
    """
    entries = _entries(path)
    if name not in entries:
        raise UsageProblem(
            "unknown prompt type",
            where="--prompt-type",
            found=name,
            wanted=", ".join(sorted(entries)),
            fix=f"choose one, or add an entry to {path.name}",
        )
    entry: dict = {}
    for ancestor in reversed(_chain(name, path)):
        entry |= entries[ancestor]
    entry.pop("like", None)
    json_files.fit(entry, SHAPE, f"{path}, {name}")
    efficient = entry.get("efficient_eos", False)
    slots: dict[str, tuple[Piece, ...]] = {}
    renamed = {"tools": "tool_style", "function_calls": "function_style"}
    try:
        for key in reference_templates.PARTS:
            if key in entry:
                slots[key] = tuple(slot if isinstance(slot, str) else _mark(slot) for slot in entry.pop(key))
            elif efficient and key in ("assistant", "function"):
                slots[key] = getattr(Template, key)[:-1]
        slots.setdefault("observation", slots.get("user", Template.observation))
        fields = {renamed.get(key, key): value for key, value in entry.items()}
        fields["stop_words"] = tuple(fields.get("stop_words", ()))
        return Template(name=name, **slots, **fields)
    except TypeError as error:
        raise Problem(
            f"prompt type {name} has a key that is not known",
            where=path,
            found=error,
            fix="correct the entry",
        ) from None


def _chain(name: str, path: Path) -> list[str]:
    """A prompt type, the one that it is like, and so on."""
    entries, chain = _entries(path), [name]
    while "like" in entries[chain[-1]]:
        chain.append(entries[chain[-1]]["like"])
        if chain[-1] not in entries or chain[-1] in chain[:-1]:
            raise Problem(
                "a prompt type that is like none, or like itself",
                where=f"{path}, {name}",
                found=" is like ".join(chain),
                wanted="the name of another entry",
                fix="correct its `like`",
            )
    return chain


def _mark(slot: Any) -> Mark:
    mark = Mark(**slot)
    if [isinstance(mark.token, str), mark.special in ("bos", "eos")].count(True) != 1:
        raise TypeError(f"a slot {slot!r}, wanted text, {{token: TEXT}} or {{special: bos or eos}}")
    return mark


@functools.cache
def _entries(path: Path) -> dict[str, dict]:
    """Of a file in our schema, or in the reference's, which is a list."""
    if not path.is_file():
        raise UsageProblem("no such file of prompt types", where=f"--prompt-type-path {path}")
    try:
        content = json_files.loads(path.read_bytes())
        listed = isinstance(content, list)
        entries = reference_templates.translated(content) if listed else content["prompt_types"]
        json_files.fit(entries, json_shapes.Each({"like": str}), str(path))
        return entries
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Problem(
            "a file of prompt types that cannot be read",
            where=path,
            found=f"{type(error).__name__}: {error}",
            wanted='{"prompt_types": {NAME: ...}}, or MindSpeed-LLM\'s list of {"name": NAME, "format_user": ...}',
        ) from None


def find(prompt_type: str) -> Template | None:
    """A prompt type; None for an unknown one, where `load` would raise."""
    try:
        return load(prompt_type)
    except Problem:
        return None
