"""The chat template that a Hugging Face tokenizer brings along, in place of a prompt type.

Conversations are rendered by the tokenizer's own Jinja text. The source of a turn is the text that
`add_generation_prompt` shows, so training sees the ids that inference with the same template sees; the target is what
follows, up to and with the end token; what comes after that belongs to the next source. The end token is the
tokenizer's eos where the template writes it after an answer, else the first added token there: base models are
published with eos `<|endoftext|>` and a template that closes each turn with `<|im_end|>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery import digests
from distillery.problems import Problem
from distillery.tokenize import brought_template, limited_template
from distillery.tokenize.conversation import ASSISTANT, FUNCTION, OBSERVATION, USER, Conversation, Rejected
from distillery.tokenize.templates import Template
from distillery.tokenize.tokenizer import HubTokenizer

NAME = "hf_chat_template"
ROLES = {USER: "user", ASSISTANT: "assistant", OBSERVATION: "tool"}
PROBE = [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "Two."}]


class HubRenderer:
    """Stands where a `Renderer` does: `messages`, `prompt`, `record`, `eos_id`, `pad_id`, `stop_token_ids`."""

    def __init__(self, hub: HubTokenizer, source: str | None = None) -> None:
        """Compile the template and find the token that it ends answers with.

        Args:
            source: Jinja text that stands in for the tokenizer's own.

        Raises:
            Problem: no chat template, or no eos token.
        """
        self.tokenizer = hub
        self.source = source or _source(hub)
        if hub.special_id("eos") is None:
            raise Problem("the tokenizer has no eos token", where=hub.directory, wanted="eos_token")
        self.eos_id: int = hub.special_id("eos")  # type: ignore[assignment]
        pad = hub.special_id("pad")
        self.pad_id: int = self.eos_id if pad is None else pad
        self.template = Template(NAME)
        self._compiled = limited_template.Template(self.source, hub.directory)
        self.end = self._end()
        ends = [hub.id_of(self.end), self.eos_id]
        self.stop_token_ids: list[int] = list(dict.fromkeys(ends))  # type: ignore[arg-type]

    def split_markers(self) -> list[str]:
        return []

    def messages(self, conversation: Conversation) -> list[list[str | int]]:
        """Source and target text of each turn.

        Raises:
            Rejected: the template refuses the conversation, or renders earlier turns anew with each answer.
        """
        if conversation.is_text:
            return [[*self.tokenizer.affixes()[0], conversation.messages[0].content, self.eos_id]]
        listed: list[dict[str, Any]] = []
        if conversation.system:
            listed.append({"role": "system", "content": conversation.system})
        if conversation.tools:
            raise Rejected("tools with a tokenizer's own chat template")
        pieces: list[list[str | int]] = []
        done = ""
        for position, message in enumerate(conversation.messages):
            if message.role == FUNCTION:
                raise Rejected("function call with a tokenizer's own chat template")
            listed.append({"role": ROLES[message.role], "content": message.content})
            answered = position % 2 == 1
            text = self._render(listed, add_generation_prompt=not answered)
            if not text.startswith(done):
                raise Rejected("the chat template renders earlier turns differently once a later one follows")
            added = text[len(done) :]
            if answered:
                # the end token of this answer, not one that the answer's own text spells
                end = added.find(self.end, _after(added, message.content))
                added = added[: end + len(self.end)] if end >= 0 else added
            pieces.append([added] if added else [])
            done += added
        return pieces

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Ids of everything up to where the assistant begins."""
        return self.tokenizer.encode(
            self._render([dict(each) for each in messages], add_generation_prompt=True)
        )

    def record(self) -> dict[str, Any]:
        return {
            "prompt_type": NAME,
            "eos_token": self.tokenizer.tokens["eos"],
            "eos_token_id": self.eos_id,
            "stop_token_ids": self.stop_token_ids,
            "chat_template": self.source,
        }

    def _end(self) -> str:
        """The token that this template writes after an answer; the eos if it writes none, or refuses the probe."""
        eos: str = self.tokenizer.tokens["eos"]  # type: ignore[assignment]
        try:
            shown = len(self._render(PROBE[:1], add_generation_prompt=True))
            added = self._render(PROBE, add_generation_prompt=False)[shown:]
        except Rejected:
            return eos
        tail = added[_after(added, PROBE[1]["content"]) :]
        marks = [token.content for token in self.tokenizer.backend.get_added_tokens_decoder().values()]
        found = [mark for mark in marks if mark in tail]
        return eos if eos in tail or not found else min(found, key=tail.index)

    def _render(self, messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
        special = {f"{role}_token": token or "" for role, token in self.tokenizer.tokens.items()}
        return self._compiled.render(
            messages=messages, tools=None, add_generation_prompt=add_generation_prompt, **special
        )


def _after(added: str, content: str) -> int:
    """Where an answer's own text ends in what the template added for it."""
    return added.rfind(content.strip()) + len(content.strip())


def is_brought(hub: HubTokenizer) -> bool:
    """Whether the tokenizer has a chat template, readable or not."""
    return (Path(hub.directory) / brought_template.FILE).is_file() or bool(hub.config.get("chat_template"))


def _source(hub: HubTokenizer) -> str:
    path = Path(hub.directory) / brought_template.FILE
    source = brought_template.source(hub.config, digests.read_bytes(path) if path.is_file() else None, path)
    if source is None:
        raise Problem(
            "the tokenizer has no chat template",
            where=hub.directory,
            wanted="chat_template in tokenizer_config.json, or chat_template.jinja",
            fix="use --prompt-type NAME instead of --hf-chat-template",
        )
    return source
