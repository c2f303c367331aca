"""Boxes, and numbers however they are written: one normal form, read exactly."""

import string
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.evaluate import extraction, judge, notation, prepared_texts, quantities, rules
from distillery.evaluate.quantities import Number


@pytest.mark.parametrize(
    "text, box",
    [
        (r"\boxed 5", "5"),
        (r"\boxed5", "5"),
        (r"\boxed {5}", "5"),
        (r"\fbox{5}", "5"),
        (r"\\boxed{004}", "004"),
        (r"so \boxed -12.5 it is", "-12.5"),
        (r"\boxed\frac{1}{2}", r"\frac{1}{2}"),
        (r"\boxed C", "C"),
        (r"\(\boxed{2}\) and \(\boxed{6}\)", "2, 6"),
        (r"\(\boxed{2}\), \(\boxed{6}\)", "2, 6"),
        (r"$\boxed{2} \quad \text{and} \quad \boxed{6}$", "2, 6"),
        (r"$\boxed{2}\text{ or }\boxed{6}$", "2, 6"),
        (r"\boxed{2}; \boxed{6}", "2, 6"),
        (r"\boxed{2}\quad\boxed{6}", "2, 6"),
        (r"\boxed{2}和\boxed{6}", "2, 6"),
        (r"\boxed{2}、\boxed{6}", "2, 6"),
        (r"$x=\boxed{2}$ or $x=\boxed{3}$", "2, 3"),
        (r"\($y_1 = \boxed{a} \) and \( y_2 = \boxed{b} \)", "a, b"),
        (r"\boxed{1} apples and \boxed{2} pears", "1, 2"),
        (r"$$\boxed{(3, 3)} \text{ for the first part, and } \boxed{(1, 1)}$$", "(3, 3), (1, 1)"),
        (r"$\boxed{35 cm} ++++++ \boxed{4}$", "35 cm, 4"),
        ("\\boxed{7}\n---\n\\boxed{7}", "7"),
        (r"\boxed{3} + \boxed{4}", "4"),
        (r"\boxed{3} - \boxed{4}", "4"),
        (r"\boxed{3} = \boxed{4}", "4"),
        (r"\boxed{1} then then then then then \boxed{2}", "2"),
        (r"First \boxed{3}. Then \boxed{4}", "4"),
        (r"\boxed{3} and a check gives \boxed{4}", "4"),
        ("\\boxed{5}\n\n**Final Answer**\n\\boxed{5}", "5"),
        (r"\boxed{5}, \boxed{5}", "5"),
        (r"\boxed{12 and \boxed{3}", "3"),
        (r"\boxed{\text{a \} b}}", r"\text{a \} b}"),
        (r"\boxed{\begin{pmatrix}1\\2\end{pmatrix}}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\boxed{ } \boxed{}", None),
        (r"\boxedness 5", None),
    ],
)
def test_boxes_in_all_their_forms(text, box):
    assert extraction.last_box(text) == box


DIGITS = st.integers(-(10**9), 10**9)


@given(DIGITS)
def test_numbers_are_read_however_their_digits_are_grouped(value):
    for text in (
        str(value),
        f"{value:,}",
        f"{value:,}".replace(",", r"\,"),
        f"{value:,}".replace(",", "{,}"),
        f"{value}.",
    ):
        assert quantities.number(notation.normal(text)) == Number(Fraction(value)), text
    assert quantities.number(notation.normal(f"${value}$ (apples)")) == Number(Fraction(value), unit="?")
    assert quantities.number(notation.normal(rf"{value}\text{{ km}}")) == Number(Fraction(value), unit="km")


@given(DIGITS, st.integers(1, 10**6))
def test_fractions_are_read_exactly(top, bottom):
    sign, value = "-" * (top < 0), Fraction(top, bottom)
    for text in (
        rf"{sign}\frac{{{abs(top)}}}{{{bottom}}}",
        rf"\dfrac{{{top}}}{{{bottom}}}",
        f"{sign}{abs(top)}/{bottom}",
    ):
        assert quantities.number(notation.normal(text)) == Number(value), text
    whole, rest = divmod(abs(top), bottom)
    if rest and whole:
        for text in (rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}", f"{sign}{whole} {rest}/{bottom}"):
            assert quantities.number(notation.normal(text)) == Number(value), text


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**6), max_value=10**6),
    st.integers(-30, 30),
)
def test_decimals_and_exponents_are_read_exactly(value, exponent):
    value = value + 0  # no negative zero
    exact = Fraction(value) * Fraction(10) ** exponent
    for text in (
        f"{value}e{exponent}",
        rf"{value} \times 10^{{{exponent}}}",
        rf"{value}\cdot 10^{{{exponent}}}",
    ):
        found = quantities.number(notation.normal(text))
        assert (found.value, found.decimal) == (exact, True)


@pytest.mark.slow
@given(st.text(alphabet=string.printable + "，。（）：；５π×°½²①和或米−", max_size=40))
@settings(max_examples=400)
def test_any_text_has_one_normal_form_and_is_itself(text):
    found = notation.normal(text)
    assert notation.normal(found) == found
    decided = rules.decide(found, found)
    assert decided == (True, "same text")
    rules.decide(found, "12")
    rules.decide("(A) 5_7", found)
    prepared_texts.prepared(found, "x")


@pytest.mark.slow
@given(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.sampled_from(["{}", "0{}"]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_filled_in_for_whole_numbers_is_what_math_verify_says(first, second, form):
    pairs = [(first, first), (first, second), (first, -first), (first, first // 10)]
    for gold, answer in pairs:
        answer = form.format(answer) if answer >= 0 else str(answer)
        assert judge.compare(str(gold), answer)[2] is judge.equal(judge._gold(str(gold)), judge._box(answer))
