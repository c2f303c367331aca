"""Helpers of chat templates, against transformers' own rendering of the same text."""

from __future__ import annotations

import pytest

from distillery.tokenize import limited_template
from distillery.tokenize.conversation import Rejected

pytestmark = pytest.mark.slow
MESSAGES = [
    {"role": "user", "content": "ä <b> {x}", "extra": {"b": [1, 2.5, None], "a": "ü"}},
    {"role": "assistant", "content": " A "},
]
SOURCES = {
    "tojson": "{{ messages[0] | tojson }}",
    "tojson with its arguments": "{{ messages[0].extra | tojson(indent=2, sort_keys=true) }}",
    "tojson by position": "{{ messages[0].extra | tojson(true) }}{{ messages[0] | tojson(false, none, (',', ':'), true) }}",
    "a date": "{{ strftime_now('%d %b %Y') }}{% if strftime_now is defined %}!{% endif %}",
    "what the assistant says": "{% for m in messages %}{% if m.role == 'assistant' %}\n"
    "  {% generation %}\n  {{ m.content }}{% set seen = 1 %}\n{% endgeneration %}\n{{ seen is defined }}"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}",
    "loop controls": "{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}{{ m.role }}{% endfor %}",
    "a namespace": "{% set ns = namespace(n=0) %}{% for m in messages %}{% generation %}{% set ns.n = ns.n + 1 %}"
    "{% endgeneration %}{% endfor %}{{ ns.n }}",
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_helper_renders_as_transformers_does(name, monkeypatch):
    from transformers.utils import chat_template_utils

    class Clock:
        @staticmethod
        def now():
            return limited_template.NOW

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    (theirs,), _ = chat_template_utils.render_jinja_template(
        conversations=[MESSAGES], chat_template=SOURCES[name], add_generation_prompt=False
    )
    assert limited_template.Template(SOURCES[name], "x").render(messages=MESSAGES) == theirs


def test_the_date_is_the_same_every_day_and_an_exception_refuses():
    assert limited_template.Template(SOURCES["a date"], "x").render(messages=[]) == "26 Jul 2024!"
    with pytest.raises(Rejected) as caught:
        limited_template.Template("{{ raise_exception('roles must alternate') }}", "x").render(messages=[])
    assert caught.value.detail == "roles must alternate"
