"""What is said for math-verify is what it says: simple forms, known without asking, and its parser in two stages."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distillery.evaluate import judge, math_verify_import, simple_form_reader, simple_forms, two_stage_parsing

WHOLE = st.integers(0, 1200).map(str)
LEAF = (
    WHOLE
    | WHOLE
    | st.sampled_from([*simple_form_reader.PLACES, r"\pi"])
    | st.decimals(0, 30, places=2).map(str)
)
SMALL = st.integers(1, 9)


def larger(inner):
    """Expressions made of smaller ones."""
    return st.one_of(
        st.tuples(inner, inner).map(lambda two: r"\frac{{{}}}{{{}}}".format(*two)),
        inner.map(lambda one: rf"\sqrt{{{one}}}"),
        inner.map(lambda one: f"({one})"),
        st.tuples(inner, SMALL).map(lambda two: "{}^{}".format(*two)),
        st.tuples(SMALL, SMALL).map(lambda two: r"\dfrac{}{}".format(*two)),
        st.tuples(SMALL, SMALL).map(lambda two: "{}/{}".format(*two)),
        st.tuples(inner, st.sampled_from(["", " ", "+", "-", " - "]), inner).map("".join),
    )


EXPRESSIONS = st.recursive(LEAF, larger, max_leaves=4)
BRACKETS = st.sampled_from(
    [("", ""), ("(", ")"), ("[", "]"), ("[", ")"), ("(", "]"), (r"\{", r"\}"), (r"\left(", r"\right)")]
)
SEQUENCES = st.tuples(BRACKETS, st.lists(LEAF | EXPRESSIONS, min_size=2, max_size=3)).map(
    lambda drawn: ", ".join(drawn[1]).join(drawn[0])
)
FORMS = (
    EXPRESSIONS | SEQUENCES | EXPRESSIONS.map(lambda text: f"-{text}") | LEAF.map(lambda text: f"x={text}")
)


def other_writing(text: str) -> str:
    return text.replace(r"\frac", r"\dfrac").replace("(", r" ( ").replace("+", " + ")


@pytest.mark.slow
@given(FORMS, FORMS)
@settings(max_examples=40, deadline=None)
def test_what_is_known_of_simple_forms_is_what_math_verify_says(gold, answer):
    math_verify_import.load()
    pairs = [
        (gold, answer),
        (gold, other_writing(gold)),
        (gold, gold.replace("1", "7", 1)),
        (gold, f"${gold}$"),
    ]
    for first, second in pairs:
        known = simple_forms.verdict(first, second)
        if known is not None:
            assert known is judge.equal(judge._gold(first), judge._box(second)), (first, second)


@pytest.mark.parametrize(
    "gold, answer, known",
    [
        (r"\frac{3}{4}", r"\dfrac{3}{4}", True),
        (r"\frac{3}{4}", r"\frac{5}{4}", False),
        (r"3\sqrt{2}", r"\sqrt{2}", False),
        (r"(1, \frac{\pi}{3})", r"\left(1,\frac{\pi}{3}\right)", True),
        ("x^2+1", "x^2+2", False),
        ("x^2+1", "x=5", False),
        ("2,3", "2,3,4", False),
        ("123456789012345", "123456789012346", False),
        (r"\sqrt{8}", r"2\sqrt{2}", None),  # equal, but not the same text
        ("0.333333", r"\frac{1}{3}", None),  # near
        ("(1,2)", "1,2", None),  # other brackets
        ("(1,2)", r"\left (1,2\right)", None),  # math-verify cannot parse it
        ("(1,2)", "1,3", False),
        ("[1,2)", "(3,4)", False),
        ("[5,3]", "(7,2)", None),
        ("[5,9]", "(7,2)", False),
        ("(x,2)", "[x,3]", None),
        (r"\frac{3}{4}", r"$\dfrac{3}{4}$", True),
        ("5", "$x = 6$", False),
        ("5", "$5$ $6$", None),
        ("(x,1]", "(x,2]", None),  # empty intervals, perhaps
        ("[5,3)", "[7,2)", None),
        ("1,234", "1234", None),  # one number or two
        ("(3)(4)", "12", None),
        ("5 cm", "5", None),
        (r"2\frac{1}{2}", "2.5", None),
        (r"\frac{1}{0}", "5", None),
        ("2^{-98}", "2^{-99}", None),
        (r"\left\left(1,2\right\right)", "(1,2)", None),
    ],
)
def test_examples_of_what_is_known_and_of_what_must_be_asked(gold, answer, known):
    assert simple_forms.verdict(gold, answer) is known


def test_two_stages_of_parsing_give_the_trees_of_one(monkeypatch):
    from antlr4 import PredictionMode
    from latex2sympy2_extended import latex2sympy2

    texts = [
        "x^2 - 25x + 16",
        r"\frac{\sqrt{3}}{2}",
        r"\{1, 2, 3\}",
        r"(-\infty, 2] \cup [5, \infty)",
        "y = 3x + 1",
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        r"\sin^2 \theta + 1",
        r"\int_0^1 x \, dx",
        "12, 345",
        r"\log_2 8",
        "a < b < c",
        r"3 \pm \sqrt{2}",
        r"\text{no parse",
        "((",
        r"50\%",
        r"|x-1|",
    ]

    def trees():
        return [str(judge._box.__wrapped__(text)) for text in texts]

    two_stage_parsing.install()
    converter = latex2sympy2._Latex2Sympy
    modes, create = [], converter.create_parser

    def noted(self, text):
        modes.append(self.prediction)
        return create(self, text)

    def in_one_stage(self, text):
        self.prediction = PredictionMode.LL
        return create(self, text)

    monkeypatch.setattr(converter, "create_parser", noted)
    in_two = trees()
    assert {PredictionMode.SLL, PredictionMode.LL} == set(modes)  # some need the second stage
    monkeypatch.setattr(converter, "create_parser", in_one_stage)
    assert trees() == in_two
