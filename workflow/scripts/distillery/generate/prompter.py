"""Messages to the ids a model is asked with, answers' ids back to text, and the ids that end an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import digests
from distillery.problems import Problem, UsageProblem

if TYPE_CHECKING:
    from distillery.tokenize.hub_template import HubRenderer
    from distillery.tokenize.tokenizer import HubTokenizer

Messages = Sequence[Mapping[str, str]]
OPENING = 16  # ids at a prompt's end among which a thought may be opened


@dataclass(frozen=True)
class Prompter:
    """A tokenizer with the template that prompts are rendered by.

    Args:
        ids: everything up to where the assistant begins.
        stop_ids: ids that end an answer.
    """

    ids: Callable[[Messages], list[int]]
    tokenizer: HubTokenizer
    stop_ids: frozenset[int]

    def text(self, tokens: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""
        return self.tokenizer.backend.decode(list(tokens), skip_special_tokens=True)

    def rendered(self, prompt: Sequence[int]) -> str:
        """Text of a prompt as the model was asked, markers included: it may end inside a thought."""
        return self.tokenizer.backend.decode(list(prompt), skip_special_tokens=False)

    def answer(self, tokens: Sequence[int]) -> str:
        """Text of an answer, its closing stop id left out even if it is no special token."""
        return self.text(tokens[:-1] if tokens and tokens[-1] in self.stop_ids else tokens)

    def opens(self, prompt: Sequence[int], tag: str) -> bool:
        """Whether a prompt ends with `tag`, so that the answer begins inside of it."""
        return self.rendered(prompt[-OPENING:]).rstrip().endswith(tag)

    def stopping_at(self, tokens: Iterable[str], words: Iterable[str]) -> Prompter:
        """The same with more stop ids.

        They are those of `tokens`, and of the words that are special tokens, which no answer's text shows.

        Raises:
            UsageProblem: one of `tokens` is not in the vocabulary.
        """
        tokens = list(tokens)
        missing = [token for token in tokens if self.tokenizer.id_of(token) is None]
        if missing:
            raise UsageProblem(
                "the tokenizer has no such token",
                where=f"--add-eos-token; {self.tokenizer.directory}",
                found=" ".join(missing),
                wanted="entries of the vocabulary, e.g. "
                + " ".join(list(self.tokenizer.special_tokens())[:5]),
                fix="for any other text use --stop-word",
            )
        special = self.tokenizer.special_tokens()
        more = {self.tokenizer.id_of(token) for token in tokens}
        more |= {special[word] for word in words if word in special}
        return replace(self, stop_ids=self.stop_ids | more)


def by_prompt_type(tokenizer: Path, prompt_type: str, record: dict[str, Any] | None) -> Prompter:
    """Render as training did.

    Args:
        tokenizer: a Hugging Face directory.
        record: the template record of tuned weights; its stop ids hold then.

    Raises:
        Problem: the weights were tuned with another tokenizer: the record's eos is another id in this one.
    """
    from distillery.tokenize import rendering

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
    return Prompter(renderer.prompt, renderer.tokenizer, frozenset(stop_ids))


def by_chat_template(tokenizer: HubTokenizer, record: dict[str, Any] | None) -> Prompter:
    """Render with the tokenizer's own chat template.

    Answers stop where it ends one, and where generation_config.json says.

    Args:
        record: the template record of tuned weights; their stop ids hold then.

    Raises:
        Problem: the tokenizer has no chat template, or not one that renders as the tuned weights know it; later on,
            a conversation that the template refuses.
    """
    from distillery.tokenize import hub_template
    from distillery.tokenize.conversation import Rejected

    renderer = hub_template.HubRenderer(tokenizer)
    if record:
        _check_template(renderer, record)
        stops = {*record["stop_token_ids"]}
    else:
        stops = {*renderer.stop_token_ids, *own_stops(tokenizer.directory)}

    def ids(messages: Messages) -> list[int]:
        try:
            return renderer.prompt(messages)
        except Rejected as error:
            raise Problem(
                "the chat template refuses a conversation",
                where=f"{tokenizer.directory}; {messages[-1]['content'][:60]!r}",
                found=error.detail,
                fix="change the roles of its messages, or use --prompt-type NAME",
            ) from None

    return Prompter(ids, renderer.tokenizer, frozenset(stops))


def own_stops(directory: Path) -> set[int]:
    """The ids at which a model's generation_config.json ends an answer.

    Raises:
        Problem: they are no ids.
    """
    path = directory / "generation_config.json"
    if not path.is_file():
        return set()
    config = digests.read_json(path)
    listed = config.get("eos_token_id")
    found = listed if isinstance(listed, list) else [] if listed is None else [listed]
    if any(type(one) is not int or one < 0 for one in found):
        raise Problem(
            "not the ids of tokens",
            where=f"{path}, eos_token_id",
            found=repr(listed)[:300],
            wanted="an id, or a list of ids",
            fix="fetch the file again, or correct it",
        )
    return set(found)


def _check_template(renderer: HubRenderer, record: dict[str, Any]) -> None:
    """Two texts of Jinja may say the same, so what they render is compared.

    Raises:
        Problem: the weights were tuned with another rendering than the tokenizer's.
    """
    from distillery.tokenize.brought_template import probed
    from distillery.tokenize.hub_template import HubRenderer

    source = record.get("chat_template")
    if source is None or probed(HubRenderer(renderer.tokenizer, source).prompt) != probed(renderer.prompt):
        raise Problem(
            "the tokenizer's chat template does not render as the weights were tuned: the model would see markers "
            "it does not know, and not stop",
            where=f"--hf-chat-template; {renderer.tokenizer.directory}",
            found=f"another template than that of prompt type {record['prompt_type']}",
            wanted=f"prompts as {record['prompt_type']} renders them",
            fix="leave --hf-chat-template out, or give --tokenizer-name-or-path the exported directory",
        )
