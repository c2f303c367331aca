"""Weights that were tuned ask for the prompt type or the chat template that they were tuned with."""

from __future__ import annotations

import json
import shutil

import pytest
from generate_models import answers, inference, refused, tuned

from distillery.generate import prompter
from distillery.problems import Problem
from distillery.tokenize import tokenizer

pytestmark = pytest.mark.mindspore


def test_tuned_weights_ask_for_their_own_prompt_type(tiny, tmp_path):
    own = tuned(tmp_path / "tuned", tiny, "qwen_math_r1")
    ask = [
        "--load",
        own,
        "--prompt",
        "1+1?",
        "--task",
        "greedy",
        "--max-new-tokens",
        4,
        "--output",
        tmp_path / "o.jsonl",
    ]
    text = refused(1, *ask, "--prompt-type", "deepseek3")
    assert "qwen_math_r1" in text and "deepseek3" in text
    done = inference(*ask)
    assert done.returncode == 0, done.stderr
    assert answers(tmp_path / "o.jsonl")[0]["prompt"] == "1+1?"


def test_another_chat_template_than_the_weights_were_tuned_with_is_refused(tiny, tmp_path):
    own, words = tuned(tmp_path / "tuned", tiny, "qwen_math_r1"), tmp_path / "words"
    record = json.loads((own / "manifest.json").read_text())["template"]
    shutil.copytree(tiny, words)
    config = json.loads((tiny / "tokenizer_config.json").read_text())
    same = record["chat_template"].replace("{%- endfor -%}", "{%- endfor -%}{#- another text -#}")
    ask = ["--load", own, "--tokenizer-name-or-path", words, "--prompt", "1+1?", "--task", "greedy"]
    for template, code in ((same, 0), (same.replace("assistant", "model"), 1), (None, 1)):
        (words / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template}))
        done = inference(*ask, "--hf-chat-template", "--max-new-tokens", 1)
        assert done.returncode == code, done.stderr
        assert template is None or (code == 0) == ("qwen_math_r1" not in done.stderr)
    (words / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": same}))
    hub = tokenizer.load(words)
    assert prompter.by_chat_template(hub, record).stop_ids == {*record["stop_token_ids"]}
    with pytest.raises(Problem, match="qwen_math_r1"):
        prompter.by_chat_template(hub, record | {"chat_template": None})


def test_weights_tuned_with_a_chat_template_ask_for_it(tiny, tmp_path):
    own = tuned(tmp_path / "tuned", tiny, "qwen_math_r1")
    manifest = json.loads((own / "manifest.json").read_text())
    manifest["template"] |= {"prompt_type": "hf_chat_template"}
    (own / "manifest.json").write_text(json.dumps(manifest))
    config = json.loads((tiny / "tokenizer_config.json").read_text())
    (own / "tokenizer_config.json").unlink()
    config["chat_template"] = manifest["template"]["chat_template"]
    (own / "tokenizer_config.json").write_text(json.dumps(config))
    ask = ["--load", own, "--prompt", "1+1?", "--task", "greedy", "--max-new-tokens", 1]
    done = inference(*ask)
    assert done.returncode == 0, done.stderr
    assert "hf_chat_template" in refused(1, *ask, "--prompt-type", "qwen_math_r1")
