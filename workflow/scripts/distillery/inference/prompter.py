"""Messages to the ids a model is asked with, answers' ids back to text, and the ids that end an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import files
from distillery.problems import Problem

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Prompter:
    """Args:
    ids: everything up to where the assistant begins.
    text: of an answer's ids, special tokens left out.
    stop_ids: ids that end an answer.
    """

    ids: Callable[[Messages], list[int]]
    text: Callable[[Sequence[int]], str]
    stop_ids: frozenset[int]

    def answer(self, tokens: Sequence[int]) -> str:
        """Text of an answer, its closing stop id left out even if it is no special token."""
        return self.text(tokens[:-1] if tokens and tokens[-1] in self.stop_ids else tokens)


def by_prompt_type(tokenizer: Path, prompt_type: str, record: dict[str, Any] | None) -> Prompter:
    """Render as training did.

    Args:
        tokenizer: a Hugging Face directory.
        record: the template record of tuned weights; its stop ids hold then.

    Raises:
        Problem: the weights were tuned with another tokenizer: the record's eos is another id in this one.
    """
    from distillery.data import rendering

    renderer = rendering.load(tokenizer, prompt_type)
    if record and record["eos_token_id"] != renderer.eos_id:
        raise Problem(
            "the weights end their answers with another id than this tokenizer has for it",
            where=f"{tokenizer}, prompt type {prompt_type}",
            found=f"{renderer.tokenizer.tokens['eos']} = {renderer.eos_id}",
            wanted=f"{record['eos_token']} = {record['eos_token_id']}",
            fix="give --tokenizer-name-or-path the tokenizer that the training data was made with",
        )
    stop_ids = record["stop_token_ids"] if record else renderer.stop_token_ids
    backend = renderer.tokenizer.backend

    def text(tokens: Sequence[int]) -> str:
        return backend.decode(list(tokens), skip_special_tokens=True)

    return Prompter(renderer.prompt, text, frozenset(stop_ids))


def by_chat_template(tokenizer: Path) -> Prompter:
    """Render with the tokenizer's own chat template; stop where generation_config.json says.

    Raises:
        Problem: the tokenizer has no chat template, or no stop id is known.
    """
    from transformers import AutoTokenizer

    hub = AutoTokenizer.from_pretrained(tokenizer)
    if not hub.chat_template:
        raise Problem(
            "the tokenizer has no chat template",
            where=tokenizer,
            wanted="chat_template in tokenizer_config.json, or chat_template.jinja",
            fix="use --prompt-type NAME instead of --hf-chat-template",
        )
    config = tokenizer / "generation_config.json"
    eos = files.read_json(config).get("eos_token_id") if config.is_file() else None
    stop_ids = {*(eos if isinstance(eos, list) else [eos]), hub.eos_token_id} - {None}
    if not stop_ids:
        raise Problem(
            "no token ends an answer", where=config, wanted="eos_token_id", fix="add it to the file"
        )

    def ids(messages: Messages) -> list[int]:
        return hub.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False)

    def text(tokens: Sequence[int]) -> str:
        return hub.decode(list(tokens), skip_special_tokens=True)

    return Prompter(ids, text, frozenset(stop_ids))
