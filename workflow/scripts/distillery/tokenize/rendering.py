"""A prompt type bound to a tokenizer: conversations to pieces, prompts to ids, and the tokens that stop an answer.

Training and generation both go through `Renderer`, so a prompt is the same ids in both, piece by piece.

    renderer = rendering.load(Path("models/qwen"), "qwen_math_r1")
    ids = renderer.prompt([{"role": "user", "content": "1 + 1?"}])
    renderer.stop_token_ids                                   # [151645, 151643]
    renderer.record()                                         # what a dataset's manifest and an export carry
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery.problems import Problem
from distillery.tokenize import chat_template, templates, tokenizer
from distillery.tokenize.conversation import ASSISTANT, FUNCTION, OBSERVATION, USER, Conversation, Message
from distillery.tokenize.templates import Mark, Template
from distillery.tokenize.tokenizer import HubTokenizer

FALLBACK_EOS = "<|endoftext|>"
CHAT_ROLES = {
    "user": USER,
    "assistant": ASSISTANT,
    "tool": OBSERVATION,
    "observation": OBSERVATION,
    "function_call": FUNCTION,
}
_MARKER = re.compile(r"<[^<>\s]+>|\[[A-Za-z/]+\]")


def load(directory: Path, prompt_type: str) -> Renderer:
    """The prompt type bound to the tokenizer of a Hugging Face directory."""
    return Renderer(templates.load(prompt_type), tokenizer.load(directory))


class Renderer:
    """Conversations to pieces and ids, by one template and one tokenizer.

    Attributes: `eos_id`, `pad_id` (as the template leaves them), `stop_token_ids` (eos first).
    """

    def __init__(self, template: Template, hub: HubTokenizer) -> None:
        """Replace the tokenizer's eos and add stop words, as the template wants it.

        Raises:
            Problem: a token slot of the template is no entry of the vocabulary.
        """
        self.template, self.tokenizer = template, hub
        born_eos = hub.tokens["eos"]
        stop_words = list(template.stop_words)
        if template.replace_eos:
            hub.tokens["eos"] = stop_words[0]
        elif born_eos is None:
            hub.tokens["eos"] = FALLBACK_EOS
        hub.add([hub.tokens["eos"]])  # type: ignore[list-item]
        hub.tokens["pad"] = hub.tokens["pad"] or hub.tokens["eos"]
        hub.add([*stop_words, hub.tokens["pad"]])  # type: ignore[list-item]
        self.eos_id: int = hub.special_id("eos")  # type: ignore[assignment]
        self.pad_id: int = hub.special_id("pad")  # type: ignore[assignment]
        stops = [hub.tokens["eos"], *stop_words, born_eos]
        self.stop_token_ids: list[int] = list(dict.fromkeys(hub.id_of(token) for token in stops if token))  # type: ignore[misc]
        missing = sorted(
            {mark.token for mark in self._marks() if mark.token and hub.id_of(mark.token) is None}
        )
        if missing:
            raise Problem(
                f"prompt type {template.name} needs tokens that this tokenizer does not have",
                where=hub.directory / "tokenizer.json",
                found=f"no entry for {' '.join(missing)}",
                wanted="one id each",
                fix="choose the prompt type of this model's family",
            )

    def split_markers(self) -> list[str]:
        """Markers such as <|im_start|> in the template's texts that are several ordinary tokens here.

        Legal (the reference renders them so), but a sign that template and model do not belong together.
        """
        slots = [slot for slot in self._slots() if isinstance(slot, str)]
        markers = sorted({marker for slot in slots for marker in _MARKER.findall(slot)})
        return [marker for marker in markers if len(self.tokenizer.encode(marker)) != 1]

    def messages(self, conversation: Conversation) -> list[list[str | int]]:
        """For each message its texts (to be tokenized one by one) and ready ids.

        Raises:
            Rejected: as `Template.render`.
        """
        before = self.tokenizer.affixes()[0] if conversation.is_text else []
        return [
            [*before, *(piece for piece in map(self._resolve, pieces) if piece is not None and piece != "")]
            for pieces in self.template.render(conversation)
        ]

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Ids of everything up to where the assistant begins, exactly those that training saw.

        Args:
            messages: `[{"role": "system"|"user"|"assistant"|"tool", "content": text}]`, the system first if at all,
                the last one not the assistant's.
        """
        system = None
        if messages and messages[0]["role"] == "system":
            system, messages = messages[0]["content"], messages[1:]
        turns = tuple(Message(CHAT_ROLES[each["role"]], each["content"]) for each in messages)
        if len(turns) % 2 == 0 or any(
            (turn.role in (ASSISTANT, FUNCTION)) != bool(i % 2) for i, turn in enumerate(turns)
        ):
            raise ValueError(f"not an alternating prompt: {[each['role'] for each in messages]}")
        ids: list[int] = []
        for pieces in self.messages(Conversation(turns, system)):
            for piece in pieces:
                ids += [piece] if isinstance(piece, int) else self.tokenizer.encode(piece)
        return ids

    def record(self) -> dict[str, Any]:
        """What the trained model needs to be asked rightly; travels with data, checkpoint and export."""
        return {
            "prompt_type": self.template.name,
            "eos_token": self.tokenizer.tokens["eos"],
            "eos_token_id": self.eos_id,
            "stop_token_ids": self.stop_token_ids,
            "chat_template": chat_template.build(self.template, self.tokenizer),
        }

    def _resolve(self, piece: str | Mark) -> str | int | None:
        if isinstance(piece, str):
            return piece
        if piece.token is not None:
            return self.tokenizer.id_of(piece.token)
        return self.tokenizer.special_id(piece.special)  # type: ignore[arg-type]

    def _slots(self) -> list[str | Mark]:
        t = self.template
        parts = (t.prefix, t.system, t.user, t.assistant, t.function, t.observation, t.separator)
        return [slot for part in parts for slot in part]

    def _marks(self) -> list[Mark]:
        return [slot for slot in self._slots() if isinstance(slot, Mark)]
