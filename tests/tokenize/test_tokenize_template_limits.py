"""Chat templates from elsewhere: no loop and no filter takes more than a conversation may, and no answer is lost."""

from __future__ import annotations

import functools
import json
import os
import resource
import subprocess
import time

import measured
import pytest
from places import FIXTURES

from distillery.problems import Problem
from distillery.tokenize import hub_template, limited_template, tokenizer
from distillery.tokenize.conversation import Rejected

MESSAGES = [{"role": "user", "content": 'Ünï"\\ud800" 1 + 1?'}]
PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
HOSTILE = {
    "a wide text": "{{ 'x' | center(3000000000) }}",
    "a repeated text": "{{ 'x' * 10000000000 }}",
    "a format": "{{ '%3000000000d' | format(1) }}",
    "a text joined to itself": "{% set ns = namespace(x='abcdefgh') %}{% for i in range(60) %}"
    "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}",
    "a power": "{% set x = 9 ** 999999999 %}x",
}


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("name", HOSTILE)
def test_what_grows_without_end_is_ended(name, monkeypatch):
    monkeypatch.setattr(limited_template, "CPU_SECONDS", 1.0)
    begin = time.process_time()
    with pytest.raises(Problem, match="(?s)takes more than any conversation needs.*some/model"):
        # constants are computed as it is compiled
        limited_template.Template(HOSTILE[name], "some/model").render(messages=MESSAGES)
    assert time.process_time() - begin < measured.SECONDS


@pytest.mark.faults
def test_the_early_check_is_within_the_limits(tmp_path):
    """The renderer itself renders a probe when it is made."""
    source = FIXTURES / "tokenize/tokenizers/full"
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "chat_template.jinja").write_text(HOSTILE["a wide text"])
    code = (
        "import sys; from pathlib import Path; from distillery.problems import Problem\n"
        "from distillery.tokenize import hub_template, tokenizer\n"
        "try: hub_template.HubRenderer(tokenizer.load(Path(sys.argv[1])))\n"
        "except Problem as problem: sys.exit(f'error: {problem}')"
    )
    said = measured.refused(0, "-c", code, tmp_path)
    assert str(tmp_path) in said


def test_a_limit_is_one_conversations():
    """What comes after one that took too much is rendered as ever."""
    template = limited_template.Template(
        "{% if messages %}{{ 'x' | center(3000000000) }}{% endif %}fine", "some/model"
    )
    with pytest.raises(Problem):
        template.render(messages=MESSAGES)
    assert template.render(messages=[]) == "fine"


def test_texts_come_as_they_are():
    template = limited_template.Template(PLAIN, "some/model")
    for content in ("", "Ünï \x00 \u2028 \U0001f642 \ud800", "x" * 3_000_000):
        assert template.render(messages=[{"role": "user", "content": content}]) == f"<user>{content}"
    if child := os.fork():  # tokenizing forks its processes
        assert template.render(messages=MESSAGES) == f"<user>{MESSAGES[0]['content']}"
        assert os.waitpid(child, 0)[1] == 0
    else:
        own = template.render(messages=[{"role": "a", "content": "b"}])
        os._exit(own != "<a>b")


@pytest.mark.parametrize(
    "source",
    ["{{ raise_exception('no tools here') }}", "{{ 1 / 0 }}", "{{ messages.x.y }}", "{{ ''.__class__.x }}"],
)
def test_what_a_template_refuses_is_a_rejected_row(source):
    with pytest.raises(Rejected):
        limited_template.Template(source, "some/model").render(messages=MESSAGES)


@pytest.mark.parametrize("source", ["{% for %}", "{{ x | nowhere }}", "{%" * 1000])
def test_a_template_that_cannot_be_compiled_names_its_model(source):
    with pytest.raises(Problem, match="(?s)cannot be compiled.*some/model"):
        limited_template.Template(source, "some/model")


@pytest.mark.parametrize("value", [5, {"a": 1}, [1], [{"name": "default"}], [{"name": 1, "template": "x"}]])
def test_a_template_of_another_kind_names_its_key(tmp_path, value):
    source = FIXTURES / "tokenize/tokenizers/full"
    (tmp_path / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    config = json.loads((source / "tokenizer_config.json").read_text()) | {"chat_template": value}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(Problem, match=r"tokenizer_config\.json, chat_template"):
        hub_template.HubRenderer(tokenizer.load(tmp_path))


@pytest.mark.faults
@pytest.mark.parametrize("megabytes", [30, 150])
def test_too_little_memory_is_not_the_templates_fault(megabytes, monkeypatch):
    """The user's own limit: the process does not even start, or may take less than a rendering may."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    started = functools.partial(subprocess.Popen, preexec_fn=limit)
    monkeypatch.setattr(limited_template.subprocess, "Popen", started)
    with pytest.raises(limited_template.Starved, match="(?s)or has too little memory.*some/model.*ulimit -v"):
        limited_template.Template("{{ 'x' * 190000000 }}", "some/model").render(messages=MESSAGES)
