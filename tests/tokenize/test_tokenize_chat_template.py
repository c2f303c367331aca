"""Exported chat templates as transformers and vLLM take them: plain names, one loop over messages, the answer's opening on wish."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
from jinja2 import nodes
from places import FIXTURES

from distillery.tokenize import rendering, templates
from distillery.tokenize.conversation import Conversation, Message

FULL = FIXTURES / "tokenize/tokenizers/full"
TURNS = [
    {"role": "user", "content": "a {x}"},
    {"role": "assistant", "content": "<think>\nb\n</think>\n\nc"},
    {"role": "user", "content": "{{x}} d"},
    {"role": "assistant", "content": "e"},
]
SYSTEM = [{"role": "system", "content": "Sys"}]
SOURCES = {
    name: source
    for name in templates.names()
    if (source := rendering.load(FULL, name).record()["chat_template"]) is not None
}


def environment() -> jinja2.Environment:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers renders


def rendered(source: str, messages: list[dict[str, str]], opened: bool) -> str:
    return environment().from_string(source).render(messages=messages, add_generation_prompt=opened)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("system", [[], SYSTEM], ids=["bare", "system"])
@pytest.mark.parametrize("turns", [1, 3], ids=["first", "second"])
def test_prompts_are_those_of_training(name: str, system: list, turns: int) -> None:
    renderer, messages = rendering.load(FULL, name), [*system, *TURNS[:turns]]
    opened = rendered(SOURCES[name], messages, opened=True)
    assert renderer.tokenizer.encode(opened) == renderer.prompt(messages)
    # without the opening of an answer the question is whole, and nothing of the answer's turn is there
    bare = rendered(SOURCES[name], messages, opened=False)
    opening = opened.removeprefix(bare)
    assert opened.startswith(bare) and messages[-1]["content"] in bare[-60:]
    assert ("assistant" in opening.lower()) == ("assistant" in opened[-40:].lower())
    assert not opening or opening.startswith(tuple("<｜|[A"))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("system", ["", "Sys"], ids=["bare", "system"])
def test_whole_conversations_are_those_of_training(name: str, system: str) -> None:
    """An answer that is there is not opened again: both values render the same."""
    renderer = rendering.load(FULL, name)
    messages = [*([{"role": "system", "content": system}] if system else []), *TURNS]
    whole = rendered(SOURCES[name], messages, opened=False)
    assert whole == rendered(SOURCES[name], messages, opened=True)
    said = Conversation(tuple(Message(one["role"], one["content"]) for one in TURNS), system=system)
    trained = [piece for pair in renderer.messages(said) for piece in pair]
    text = "".join(
        one if isinstance(one, str) else renderer.tokenizer.backend.id_to_token(one) for one in trained
    )
    assert text.startswith(whole)


def test_which_prompt_types_have_one_and_only_indexed_ones_count() -> None:
    """The others leave a question that spells the placeholder alone; training, as the reference, puts the turn's number there."""
    assert len(SOURCES) == 10
    assert {name for name, source in SOURCES.items() if "loop.index0 //" in source} == {
        name for name in SOURCES if "{{idx}}" in str(templates.load(name).user)
    }


@pytest.mark.parametrize("name", SOURCES)
def test_vllm_can_follow_where_messages_go(name: str) -> None:
    """It asserts that each target of `set` is a plain name (entrypoints/chat_utils.py), and looks for a loop over messages."""
    tree = environment().parse(SOURCES[name])
    targets = {one.target.name for one in tree.find_all(nodes.Assign) if isinstance(one.target, nodes.Name)}
    assert len(list(tree.find_all(nodes.NSRef))) == 0 and {"system", "turns"} <= targets
    (loop,) = tree.find_all(nodes.For)
    assert loop.iter.name == "turns" and loop.target.name == "message"


def test_the_opening_is_cut_at_its_marker(qwen_tokenizer: Path) -> None:
    source = rendering.load(qwen_tokenizer, "qwen_math_r1").record()["chat_template"]
    assert rendered(source, TURNS[:1], opened=False).endswith("<|im_start|>user\na {x}<|im_end|>\n")
    assert rendered(source, TURNS[:1], opened=True).endswith("<|im_end|>\n<|im_start|>assistant\n")
