"""The chat template that a model came with stays beside training's in the export where both render the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from places import ROOT

from distillery.convert import export, own_template
from distillery.convert.dtypes import FP32
from distillery.tokenize import rendering

MODEL = ROOT / "config/examples/data/model"
CONFIG = json.loads((MODEL / "tokenizer_config.json").read_text())
OWN = CONFIG["chat_template"]
RECORD = rendering.load(MODEL, "qwen_math_r1").record()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose own template renders as qwen_math_r1 does."""
    return Path(
        shutil.copytree(MODEL, tmp_path / "model", ignore=shutil.ignore_patterns("manifest.json", ".*"))
    )


def exported(model: Path, record: dict = RECORD) -> dict[str, bytes]:
    """The files beside the weights."""
    return export.side_files(model, FP32, record)


def words(model: Path, template: object) -> None:
    """Give the model a chat template of its own."""
    (model / "tokenizer_config.json").write_text(json.dumps({**CONFIG, "chat_template": template}))


def test_one_that_renders_the_same_is_kept_and_training_s_goes_before_it(model):
    side = exported(model)
    assert side[own_template.FILE].decode() == OWN != RECORD["chat_template"]
    assert side["chat_template.jinja"].decode() == RECORD["chat_template"]
    assert json.loads(side["tokenizer_config.json"])["chat_template"] == RECORD["chat_template"]


@pytest.mark.parametrize("name", ["qwen", "chatml", "qwen_r1"])
def test_one_with_another_system_text_is_not(model, name):
    assert own_template.FILE not in exported(model, rendering.load(MODEL, name).record())


# what a template may do otherwise, and a prompt of one turn may not show
OTHERWISE = {
    "opens always": OWN.replace("if add_generation_prompt", "if true"),
    "opens never": OWN.replace("if add_generation_prompt", "if false"),
    "takes no system text": "{%- if messages[0].role == 'system' -%}{{ raise_exception('no') }}{%- endif -%}"
    + OWN,
    "leaves thoughts out": OWN.replace("message['content'] +", "message['content'].split('</think>')[-1] +"),
    "is no Jinja": OWN + "{%- if -%}",
    "takes all memory": OWN + "{%- set x = 'x' * 10 ** 10 -%}",
    "begins with a token": "{{ bos_token }}" + OWN,
}


@pytest.mark.parametrize("template", OTHERWISE.values(), ids=OTHERWISE)
def test_one_that_renders_some_prompt_otherwise_is_not(model, template):
    assert template != OWN
    words(model, template)
    (model / "tokenizer_config.json").write_text(
        json.dumps({**CONFIG, "chat_template": template, "bos_token": {"content": "<|endoftext|>"}})
    )
    assert own_template.FILE not in exported(model)


def test_special_tokens_are_the_exports(model):
    """An end of answers that training has put in the place of the model's."""
    own = OWN.replace("'<|im_end|>\\n'", "eos_token + '\\n'")
    assert own != OWN
    (model / "tokenizer_config.json").write_text(
        json.dumps({**CONFIG, "chat_template": own, "eos_token": "<|endoftext|>"})
    )
    assert exported(model)[own_template.FILE].decode() == own


@pytest.mark.slow
def test_it_may_stand_in_a_list_or_in_a_file_of_its_own(model):
    words(model, [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": OWN}])
    assert exported(model)[own_template.FILE].decode() == OWN
    (model / "chat_template.jinja").write_text(OWN + "{#- the file goes before -#}")
    assert exported(model)[own_template.FILE].decode().endswith("goes before -#}")


@pytest.mark.slow
def test_a_later_stage_keeps_what_the_first_model_came_with(model):
    for name, data in exported(model).items():
        (model / name).write_bytes(data)
    side = exported(model)
    assert side[own_template.FILE].decode() == OWN
    other = exported(model, rendering.load(MODEL, "chatml").record())
    assert own_template.FILE not in other


def test_without_a_template_of_training_s_all_is_carried(model):
    side = exported(model, {**RECORD, "chat_template": None})
    assert own_template.FILE not in side
    assert json.loads(side["tokenizer_config.json"])["chat_template"] == OWN
