"""A prompt is the same ids in training, in generation and, where a chat template can say it, in transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import FIXTURES

from distillery.problems import Problem
from distillery.tokenize import hub_template, rendering, row_spans, templates, tokenizer
from distillery.tokenize.documents import Rules

DATA = FIXTURES / "tokenize"
FULL = DATA / "tokenizers" / "full"
CHATML = ["chatml", "chatml_de", "qwen", "qwen_math_r1", "qwen_r1", "qwen3", "intern2"]
PROMPTS = [
    [{"role": "user", "content": "1 + 1?"}],
    [
        {"role": "system", "content": "Sys"},
        {"role": "user", "content": "  café\n\n{{x}} {x} 'q' <|im_end|>"},
    ],
    [{"role": "system", "content": ""}, {"role": "user", "content": ""}],
    [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "<think>\nb\n</think>\n\n\\boxed{2}"},
        {"role": "user", "content": "{{x}}\n"},
        {"role": "assistant", "content": "c"},
        {"role": "tool", "content": "d"},
    ],
]
text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


@pytest.fixture(scope="module", params=CHATML)
def both(request: pytest.FixtureRequest, qwen_tokenizer: Path):
    """(our renderer, transformers' tokenizer with our chat template) of one prompt type."""
    from transformers import AutoTokenizer

    renderer = rendering.load(qwen_tokenizer, request.param)
    hub = AutoTokenizer.from_pretrained(qwen_tokenizer)
    hub.chat_template = renderer.record()["chat_template"]
    assert hub.chat_template is not None
    return renderer, hub


def hub_ids(hub, messages) -> list[int]:
    return hub.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)


@pytest.mark.slow
@pytest.mark.parametrize("messages", PROMPTS)
def test_chat_template_gives_our_ids(both, messages) -> None:
    renderer, hub = both
    assert hub_ids(hub, messages) == renderer.prompt(messages)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(system=st.one_of(st.none(), text), question=text)
def test_chat_template_gives_our_ids_for_any_prompt(both, system: str | None, question: str) -> None:
    renderer, hub = both
    messages = [{"role": "system", "content": system}] if system is not None else []
    messages.append({"role": "user", "content": question})
    assert hub_ids(hub, messages) == renderer.prompt(messages)


def test_llama2_puts_the_system_into_the_question() -> None:
    from transformers import PreTrainedTokenizerFast

    renderer = rendering.load(FULL, "llama2")
    hub = PreTrainedTokenizerFast(tokenizer_file=str(FULL / "tokenizer.json"))
    hub.chat_template = renderer.record()["chat_template"]
    messages = [{"role": "system", "content": "Sys"}, {"role": "user", "content": "a"}]
    ids = hub.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=False)
    assert ids == renderer.prompt(messages)
    assert (
        renderer.tokenizer.backend.decode(ids, skip_special_tokens=False)
        == "<s>[INST] <<SYS>>\nSys\n<</SYS>>\n\na [/INST]"
    )


@pytest.mark.parametrize("prompt_type", ["deepseek3", "default", "baichuan2", "alpaca"])
def test_no_chat_template_where_merges_could_cross_a_joint(prompt_type: str, qwen_tokenizer: Path) -> None:
    assert rendering.load(qwen_tokenizer, prompt_type).record()["chat_template"] is None


@pytest.mark.parametrize("prompt_type", list(templates.names()))
def test_prompt_is_what_training_masks(prompt_type: str) -> None:
    """The prompt of a conversation is a prefix of its document, and labels begin right after it."""
    recipe = row_spans.Recipe(
        FULL, "SharegptStyleInstructionHandler", prompt_type, rules=Rules(enable_thinking=True)
    )
    work = recipe.work()
    row = {
        "conversations": [
            {"from": "human", "value": "2 {x}\n"},
            {"from": "gpt", "value": "<think>a</think>4"},
        ]
    }
    part = work(row_spans.Block("rows", 0, [row]))
    prompt = work.renderer.prompt([{"role": "user", "content": "2 {x}\n"}])
    ids, labels = part.tokens["input_ids"].tolist(), part.tokens["labels"].tolist()
    assert ids[: len(prompt)] == prompt
    assert labels == [-100] * len(prompt) + ids[len(prompt) :]


def test_record_of_the_guide(qwen_tokenizer: Path) -> None:
    record = rendering.load(qwen_tokenizer, "qwen_math_r1").record()
    assert (record["prompt_type"], record["eos_token"], record["eos_token_id"]) == (
        "qwen_math_r1",
        "<|im_end|>",
        151645,
    )
    assert record["stop_token_ids"] == [151645, 151643]


def test_missing_vocabulary_entries_are_an_error(qwen_tokenizer: Path) -> None:
    with pytest.raises(Problem, match=r"\[gMASK\] sop"):
        rendering.load(qwen_tokenizer, "chatglm2")


def test_markers_in_pieces_are_named(qwen_tokenizer: Path) -> None:
    assert rendering.load(qwen_tokenizer, "deepseek3").split_markers() == ["<｜Assistant｜>", "<｜User｜>"]
    assert rendering.load(qwen_tokenizer, "qwen_math_r1").split_markers() == []


def test_prompts_must_alternate(qwen_tokenizer: Path) -> None:
    with pytest.raises(ValueError, match="alternating"):
        rendering.load(qwen_tokenizer, "qwen").prompt([{"role": "assistant", "content": "a"}])


@pytest.mark.slow
def test_ids_agree_with_transformers_on_loading(qwen_tokenizer: Path) -> None:
    from transformers import AutoTokenizer

    for directory in (qwen_tokenizer, FULL, DATA / "tokenizers" / "bare"):
        ours, theirs = tokenizer.load(directory), AutoTokenizer.from_pretrained(directory)
        assert ours.size() == len(theirs)
        found = {role: ours.tokens[role] for role in tokenizer.ROLES}
        assert found == {role: getattr(theirs, f"{role}_token") for role in tokenizer.ROLES}
        before, after = ours.affixes()
        assert [*before, *ours.encode("a <s> b"), *after] == theirs("a <s> b")["input_ids"]


def test_no_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"tokenizer\.json"):
        tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Problem, match="cannot be read"):
        tokenizer.load(tmp_path)


SHIPPED = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("eos", ["<|im_end|>", "</s>"], ids=["instruct", "base"])
def test_the_tokenizers_own_chat_template(tmp_path: Path, eos: str) -> None:
    """Sources are what generation is shown, targets end with the end token, line ends after it are not supervised.

    A base model's eos is another token than its template's end marker, which stops generation first.
    """
    from transformers import AutoTokenizer

    directory = tmp_path / "own"
    shutil.copytree(FULL, directory)
    config = json.loads((directory / "tokenizer_config.json").read_text())
    config |= {"chat_template": SHIPPED, "eos_token": eos}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    recipe = row_spans.Recipe(directory, "SharegptStyleInstructionHandler", hub_template.NAME)
    values = ["q1", "a1 <|im_end|> x", "q2", "a2"]
    row = {"conversations": [{"from": ["human", "gpt"][i % 2], "value": v} for i, v in enumerate(values)]}
    work = recipe.work()
    part = work(row_spans.Block("rows", 0, [row]))
    decode = work.tokenizer.backend.decode
    ids, labels = part.tokens["input_ids"], part.tokens["labels"]
    assert (
        decode(labels[labels != -100].tolist(), skip_special_tokens=False)
        == "a1 <|im_end|> x<|im_end|>a2<|im_end|>"
    )
    messages = [{"role": ["user", "assistant"][i % 2], "content": v} for i, v in enumerate(values)]
    theirs = AutoTokenizer.from_pretrained(directory)
    whole = theirs.apply_chat_template(messages, tokenize=False)
    assert decode(ids.tolist(), skip_special_tokens=False) + "\n" == whole
    prompt = theirs.apply_chat_template(
        messages[:1], add_generation_prompt=True, tokenize=True, return_dict=False
    )
    assert work.renderer.prompt(messages[:1]) == prompt == ids[: len(prompt)].tolist()
    stops = [work.tokenizer.id_of(token) for token in dict.fromkeys(["<|im_end|>", eos])]
    assert work.renderer.record()["stop_token_ids"] == stops


def test_prompt_types_in_the_references_schema(tmp_path: Path) -> None:
    """As its templates.json is written; each of these is one of ours under another name."""
    chatml = {
        "format_user": {"slots": ["<|im_start|>user\n{{content}}<|im_end|>\n<|im_start|>assistant\n"]},
        "format_system": {"slots": ["<|im_start|>system\n{{content}}<|im_end|>\n"]},
        "format_observation": {"slots": ["<|im_start|>tool\n{{content}}<|im_end|>\n<|im_start|>assistant\n"]},
        "format_separator": {"slots": ["\n"]},
        "default_system": ["You are ", "a helpful assistant."],
        "stop_words": ["<|im_end|>"],
        "replace_eos": True,
    }
    llama = {
        "format_user": {"slots": [["bos_token"], "[INST] {{content}} [/INST]"]},
        "format_system": {"slots": ["<<SYS>>\n{{content}}\n<</SYS>>\n\n"]},
        "template_class": "Llama2Template",
    }
    ends_once = {
        "format_user": {"slots": ["<reserved_106>{{content}}<reserved_107>"]},
        "format_prefix": None,
        "efficient_eos": True,
    }
    own = {"qwen": chatml, "llama2": llama, "baichuan2": ends_once}
    path = tmp_path / "own.json"
    path.write_text(json.dumps([{"name": name, **entry} for name, entry in own.items()]))
    assert templates.names(path) == tuple(own)
    for name in own:
        assert templates.load(name, path) == templates.load(name)
    with pytest.raises(Problem, match="no such file of prompt types"):
        templates.load("qwen", tmp_path / "none.json")
    for number, content in enumerate(("[1]", "{}", "nonsense")):
        path = tmp_path / f"{number}.json"
        path.write_text(content)
        with pytest.raises(Problem, match=f"{number}.json"):
            templates.load("qwen", path)
