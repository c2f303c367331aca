"""What is true of every conversation: its ids decode to the rendered text, and what is supervised are the answers."""

from __future__ import annotations

import functools
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tokenize_runs import FLAGS, FULL, TAGS

from distillery.tokenize import templates, tools
from distillery.tokenize.conversation import ASSISTANT, FUNCTION, OBSERVATION, USER
from distillery.tokenize.parts import Block
from distillery.tokenize.row_spans import ConversationWork, Recipe

text = st.text(st.characters(codec="utf-8"), max_size=30)
WORK = Recipe(FULL, FLAGS[1], "qwen_math_r1", json.loads(FLAGS[-1])).work()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(text, text), min_size=1, max_size=4), st.one_of(st.none(), text))
def test_any_conversation_round_trips(turns: list[tuple[str, str]], system: str | None) -> None:
    """Ids decode to the rendered text; labels are the answers with one eos each and nothing else."""
    messages = [{"role": "system", "content": system}] if system is not None else []
    for question, answer in turns:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    part = WORK(Block("rows", 0, [{"messages": messages}]))
    ids, labels = part.tokens["input_ids"], part.tokens["labels"]
    decode = WORK.tokenizer.backend.decode
    default = WORK.renderer.template.default_system
    rendered = f"<|im_start|>system\n{system or default}<|im_end|>\n" + "\n".join(
        f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>"
        for question, answer in turns
    )
    # `{{idx}}` in a question becomes the number of the turn, as in the reference
    if not any("{{idx}}" in question for question, _ in turns):
        assert decode(ids.tolist(), skip_special_tokens=False) == rendered
    supervised = labels != -100
    assert (labels[supervised] == ids[supervised]).all()
    answers = "".join(f"{answer}<|im_end|>" for _, answer in turns)
    assert decode(labels[supervised].tolist(), skip_special_tokens=False) == answers


asks = st.tuples(st.sampled_from([USER, OBSERVATION]), text)
answers = st.tuples(st.just(ASSISTANT), text) | st.tuples(st.just(FUNCTION), text)
SIGNATURES = '[{"name": "f", "description": "d", "parameters": {"properties": {"x": {"type": "int"}}}}]'


@pytest.mark.parametrize("prompt_type", templates.names())
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(asks, answers), min_size=1, max_size=3), st.none() | text, st.booleans())
def test_any_conversation_round_trips_in_every_prompt_type(
    prompt_type: str, turns: list, system: str | None, with_tools: bool
) -> None:
    """Written out by hand once more: all slots in their order, what is supervised, and where an eos stands."""
    work = _work(prompt_type)
    template, tokens = work.renderer.template, work.tokenizer.tokens
    assume("{{idx}}" not in "".join(ask for (_, ask), _ in turns) + (system or ""))

    def written(slots: tuple, content: str = "", **more: str) -> str:
        shown = ""
        for slot in slots:
            if isinstance(slot, templates.Mark):
                shown += slot.token or tokens[slot.special] or ""
            else:
                for name, value in {**more, "content": content}.items():
                    slot = slot.replace("{{" + name + "}}", value)
                shown += slot
        return shown

    signatures = SIGNATURES if with_tools and template.tool_style != "broken" else ""
    preamble = (system or template.default_system) + tools.describe(signatures, template.tool_style)
    opening = written(template.system, preamble) if preamble or signatures else ""
    messages, sources, targets = [], [], []
    for number, ((asker, ask), (answerer, answer)) in enumerate(turns):
        if template.function_style == "broken":
            answerer = ASSISTANT
        call = {"name": "f", "arguments": {"x": answer}}
        messages += [
            {"role": asker, "content": ask},
            {"role": answerer, "content": json.dumps(call) if answerer == FUNCTION else answer},
        ]
        before = written(template.separator) if number else written(template.prefix)
        inlay = "" if number or not template.system_in_user else opening
        if not number and not template.system_in_user:
            before += opening
        if asker == USER:
            source = before + written(template.user, inlay + ask, idx=str(number))
        else:
            source = before + written(template.observation, ask)
        if template.reasoning and "think>" not in answer:
            source += templates.EMPTY_THOUGHT
        if answerer == ASSISTANT:
            target = written(template.assistant, answer)
        elif template.function_style == "action":
            arguments = json.dumps(call["arguments"], ensure_ascii=False)
            target = written(template.function, name="f", arguments=arguments)
        else:
            listed = json.dumps(call, ensure_ascii=False)
            target = written(template.function, f"<tool_call>\n{listed}\n</tool_call>")
        sources.append(source)
        targets.append(target)
    row = {"messages": messages, "system": system, "tools": signatures}
    part = work(Block("rows", 0, [row]))
    end = tokens["eos"] if template.efficient_eos else ""
    shown = "".join(source + target for source, target in zip(sources, targets, strict=True)) + end
    assert bool(part.rejected) == (not shown)  # the prompt type `empty` may say nothing at all
    ids, labels = part.tokens["input_ids"], part.tokens["labels"]
    decode = functools.partial(work.tokenizer.backend.decode, skip_special_tokens=False)
    assert decode(ids.tolist()) == shown
    assert decode(labels[labels == ids].tolist()) == "".join(targets) + end
    # where only the last answer has an eos, the first token of each later question is where the one before should end
    inner = labels[(labels != ids) & (labels != -100)].tolist()
    follows = sum(bool(source) for source in sources[1:]) if template.efficient_eos else 0
    assert inner == [work.renderer.eos_id] * follows


@functools.cache
def _work(prompt_type: str) -> ConversationWork:
    tags = TAGS | {"observation_tag": OBSERVATION, "function_tag": FUNCTION}
    keys = {"messages": "messages", "system": "system", "tools": "tools", "tags": tags}
    return Recipe(FULL, FLAGS[1], prompt_type, keys).work()
