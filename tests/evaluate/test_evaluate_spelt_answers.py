"""Numbers in words, sets of numbers, itemised boxes, commas that group or part: each pair tried both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.evaluate import extraction, golds, judge, number_words

SAME = [
    ("5", "五"),
    ("25", "二十五"),
    ("12", "十二"),
    ("205", "二百零五"),
    ("2024", "二〇二四"),
    ("30000", "三万"),
    ("5", "五个"),
    ("1/3", "三分之一"),
    (r"5\%", "百分之五"),
    ("0.003", "千分之三"),
    ("2", "two"),
    ("25", "twenty-five"),
    ("105", "one hundred and five"),
    ("7", r"\text{seven}"),
    (r"3\text{ km}", "三公里"),
    ("C", "C: 12"),
    ("C", r"\textbf{C: }12"),
    ("I, II, III", "III, I and II"),
    ("II and III", "III and II"),
    ("2,6", r"2 \quad 6"),
    ("x=2,y=3", r"x=2 \qquad y=3"),
    ("-1", r"\text{-}1"),
    ("1st", "1^{st}"),
    ("2nd", r"2^{\text{nd}}"),
    (r"[2,\infty)", r"x \ge 2"),
    (r"[2,\infty)", "2<=x"),
    (r"(-\infty,1)\cup(2,\infty)", r"x<1 \text{ or } x>2"),
    (r"\{x|x>1\}", r"(1,\infty)"),
    (r"x \in [-2,7]", r"-2 \le x \le 7"),
    ("[0,1)", "1 > x \\ge 0"),
    (r"[\sqrt{2},\infty)", r"x \geq \sqrt{2}"),
    ("14916", "14{ , }916"),
    ("5'", "5 ft"),
    ("30'", "30 minutes"),
    ("1 hour 30 minutes", "1 hour and 30 minutes"),
    (r"\sin 30^\circ", "0.5"),
    (r"10\cos 60^{\circ}", "5"),
]
OTHER = [
    # a comma that groups no three digits: the first was called right, item by item
    ("1,000", "1,0000"),
    ("1,000", "1, 0"),
    ("1,000", "0, 1"),
    ("1,234", "1,2340"),
    ("1,000,000", "1,0000,00"),
    ("2600", r"2 \quad 600"),
    ("3", "三角形"),
    ("三角形", "三边形"),
    (r"5\%", "百分之六"),
    ("五", "六"),
    ("305", "三百五"),
    ("两", "三"),
    ("10", "百"),
    ("第一", "第二"),
    ("two", "three"),
    ("twenty-five", "25.5"),
    ("23", "two three"),
    ("20", "twenty zero"),
    ("C", "D: 12"),
    ("A:B", "A"),
    (r"[2,\infty)", "x>2"),
    (r"(2,\infty)", r"x \ge 2"),
    (r"[2,\infty)", r"x \le 2"),
    ("x>2", "y>2"),
    ("[1,2)", "1<x<2"),
    (r"(-\infty,1)\cup(2,\infty)", "1<x<2"),
    ("II and III", "I and III"),
    ("1st", "2nd"),
    ("5'", "5 m"),
    ("30'", "30 hours"),
    ("1 hour 30 minutes", "1 hour 20 minutes"),
    ("1 hour 30 minutes", "30 hours 1 minute"),
    (r"\sin 30^\circ", r"\sin 30"),
    (r"\sin 30^\circ", "-0.988"),
]


@pytest.mark.parametrize("first, second", SAME)
def test_spellings_of_one_answer(first, second):
    assert [judge.compare(first, second)[0], judge.compare(second, first)[0]] == [True, True]


@pytest.mark.parametrize("first, second", OTHER)
def test_spellings_of_two_answers(first, second):
    assert [judge.compare(first, second)[0], judge.compare(second, first)[0]] == [False, False]


@pytest.mark.parametrize(
    "text, box",
    [
        ("- \\boxed{2}\n- \\boxed{6}", "2, 6"),
        ("(a) \\boxed{2} (b) \\boxed{6}", "2, 6"),
        ("(i) $\\boxed{2}$\n\n(ii) $\\boxed{6}$", "2, 6"),
        ("1. $\\boxed{2}$\n2. $\\boxed{6}$", "2, 6"),
        ("1. First we find \\boxed{2}\n2. Then we have it: \\boxed{6}", "6"),
        (r"\boxed{3} - \boxed{4}", "4"),
    ],
)
def test_boxes_of_the_items_of_a_list_are_one_answer(text, box):
    assert extraction.last_box(text) == box


def test_a_solution_may_state_its_answer_in_a_last_sentence():
    said = "So $A = -6$. Final Answer: The final answer is $10,200$. Or: the final answer is $10,455$. I hope it is correct."
    assert golds.read(said) == "$10,455$"
    assert golds.read(said + " Note: it was checked.") == "$10,455$"
    assert golds.read("The final answer is in the box: \\boxed{7}.") == "7"


def _chinese(value: int) -> str:
    """As it is said in full, up to 9999."""
    said, gap = "", False
    for place, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // place % 10
        if digit:
            said += "零" * (gap and bool(said)) + "零一二三四五六七八九"[digit] + name
        gap = not digit
    return said


def _english(value: int) -> str:
    if value >= 1000:
        return f"{_english(value // 1000)} thousand {_english(value % 1000) if value % 1000 else ''}".strip()
    if value >= 100:
        return f"{_english(value // 100)} hundred {'and ' + _english(value % 100) if value % 100 else ''}".strip()
    if value < 20:
        return number_words.ONES[value]
    ten = next(word for word, worth in number_words.TENS.items() if worth == value // 10 * 10)
    return f"{ten}-{number_words.ONES[value % 10]}" if value % 10 else ten


@given(st.integers(1, 9999))
def test_numbers_said_in_full_are_read(value):
    assert number_words.leading(_chinese(value)) == (str(value), "")
    assert number_words.leading(_english(value)) == (str(value), "")


@given(
    st.text(alphabet="零〇一二两三十百千万亿分之个 ", max_size=8)
    | st.text(alphabet="one two hundred and-", max_size=20)
)
def test_any_text_is_a_number_or_none(text):
    found = number_words.leading(text)
    assert found is None or (text.endswith(found[1]) and found[0].replace("/", "").isdigit())
