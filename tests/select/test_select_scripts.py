"""The share of a text's letters that are of some scripts, held against each letter looked up by itself."""

from __future__ import annotations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from distillery.select.script_shares import ScriptShare

SIGNS = st.text(st.one_of(st.characters(), st.sampled_from("abZ09 $αβжя数学あ가é_²")), max_size=40)


@given(
    SIGNS, st.lists(st.sampled_from(["Latin", "Han", "Greek", "Cyrillic", "Hangul"]), min_size=1, unique=True)
)
def test_each_letter_counts_by_its_own_script(text, scripts):
    letters = [
        one
        for one in text
        if regex.match(r"\p{L}", one) and not regex.match(r"\p{sc=Common}|\p{sc=Inherited}", one)
    ]
    own = [one for one in letters if any(regex.match(rf"\p{{sc={name}}}", one) for name in scripts)]
    assert ScriptShare(scripts).of(text) == (len(own) / len(letters) if letters else 1.0)


@pytest.mark.parametrize(
    ("scripts", "share"), [(["Latin"], 0.5), (["Han"], 0.5), (["Han", "Latin"], 1.0), (["Greek"], 0.0)]
)
def test_a_text_of_two_languages(scripts, share):
    assert ScriptShare(scripts).of("let x = 2^10 数学很好") == share
