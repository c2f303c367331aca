"""Pairs of two writings, each tried both ways: what is written for the eye only, and what looks alike and is another answer."""

import pytest

from distillery.evaluate import judge

SAME = [
    ("5", r"\color{red}{5}"),
    ("5", r"\textcolor{blue}{5}"),
    ("5", r"\underline{5}"),
    (r"\frac{1}{2}", r"\large \frac12"),
    (r"\mathbf{v}", r"\boldsymbol{v}"),
    ("5", r"\text{Answer: } 5"),
    ("5", r"\text{The answer is } 5"),
    ("5", "答案：5"),
    ("C", "答案C"),
    ("1/3", r"0.\overline{3}"),
    ("1/6", r"0.1\bar{6}"),
    ("-15/11", r"-1.\overline{36}"),
    ("10^6", r"1\text{ million}"),
    (r"\$2,500,000", r"2.5\text{ million dollars}"),
    ("30000", "3万元"),
    ("3 km", "3千米"),
    ("60", r"60 \frac{\text{km}}{\text{h}}"),
    (r"60\text{ km/h}", r"60 \frac{\mathrm{km}}{\mathrm{h}}"),
    ("1:2", r"1 \text{ to } 2"),
    ("(3,4)", r"\langle 3, 4 \rangle"),
    ("12 feet", r"12 \text{ ft}"),
    ("20°", "20°C"),
    ("20°C", r"20^\circ\text{C}"),
    ("30'", r"30^{\prime}"),
    (r"\$5", "5 dollars"),
    (r"\$5", "5"),
    (r"\$5", "$5"),
    ("$5", "$5$"),
    ("5 cents", "$5$"),
    ("5 cents", "$ 5 $"),
    ("5 cents and 6 cents", "$5$ and $6$"),
    ("$5 and $6", "5 dollars, 6 dollars"),
    (r"HK\$5", "5"),
    ("¥5", "5元"),
    ("¥5", "5日元"),
    ("2.5", r"2 \text{ and a half}"),
    ("2 1/4 hours", "2 and a quarter hours"),
    ("6'2\"", "6 feet 2 inches"),
    (r"30^\circ 15'", "30 degrees 15 minutes"),
    ("5%", r"5\text{ percent}"),
    ("5%", "5 (of all)"),
    ("m = 5, n = 6", "5, 6"),
    ("I=t+1", "t+1=I"),
    ("1,234", r"2 \cdot 617"),
    ("y=2x", r"\frac{y}{2}=x"),
    ("y = 0.5x + 1", r"2y = x + 2"),
    (r"4-\mathrm{i}", "4-i"),
    (r"5\mathrm{e}", "5e"),
    ("n = 6, m = 5", "m = 5, n = 6"),
    ("x = 2, x = 3", "3, 2"),
    (r"5\text{ or more}", r"5 \text{ or more}"),
    (r"1, 2, \ldots, 10", "1,2,...,10"),
    (r"0.1212\ldots", "0.1212"),
]
OTHER = [
    ("5", r"5\text{ million}"),
    ("3", "3万"),
    ("5", "5 dozen"),
    ("1/3", r"0.\overline{4}"),
    ("0.3", r"0.\overline{3}"),
    (r"0.\overline{12}", r"0.1\overline{2}"),
    (r"30^\circ", "30'"),
    ("30'", "30''"),
    ("20°C", "20°F"),
    (r"\$5", "5 cents"),
    (r"\$5", "5€"),
    ("5 cents", "$5"),
    ("5 cents", "$ 5"),
    ("5 cents", "5$"),
    ("$5$ cents", "$5"),
    (r"5\text{ cents}", r"$\$5$"),
    (".5 cents", "$.50"),
    ("5€", "$5"),
    ("5 cents, 6 cents", "$5 and $6"),
    (r"HK\$5", r"US\$5"),
    ("5美元", "5港元"),
    ("5 rupees", "5 dollars"),
    ("5角", "5元"),
    ("5日元", "5元"),
    # a percentage is no amount, and no angle
    ("5%", "5 dollars"),
    (r"\$5", r"5\%"),
    (r"5^\circ", r"5\%"),
    ("5%", "5 cm"),
    ("2", r"2 \text{ and a half}"),
    ("62", "6'2\""),
    ("90", "1 hour 30 minutes"),
    ("5", "5M"),
    # a bound is no value, a list with dots none without, and names say which is which
    ("5", r"5\text{ or more}"),
    ("5", r"\text{at least } 5"),
    ("5", r"\ge 5"),
    ("5", "5+"),
    ("5", "5人以上"),
    ("1, 2, 10", r"1, 2, \ldots, 10"),
    ("m = 5, n = 6", "6, 5"),
    ("x_1 = 2, x_2 = 3", "3, 2"),
    # equations that are true or false of themselves, and those of I, which to math-verify is the imaginary unit
    ("2+3=5", "1+1=2"),
    ("2+3=5", "2+3=6"),
    ("I=t+1", "I=t+2"),
    (r"I=2e^{-15 t}", r"I=2e^{-20 t}"),
    (r"20 \cos \frac{\pi}{4} = 14.142", r"20 \cos \frac{\pi}{6} = 17.32"),
    (r"4-\mathrm{i}", "4"),
    (r"15 \mathrm{n}, 20 \mathrm{~d}", r"15\mbox{ cm}^2"),
    # units are not converted, nor are currencies
    ("3 km", "3000 m"),
    ("2 hours", "120 minutes"),
    (r"1\text{ m}", r"100\text{ cm}"),
    ("60 km/h", r"1\text{ km/min}"),
    ("50 cents", "$0.50"),
    ("3000", "3 km"),
    ("5元", r"5\text{ dollars}"),
    (r"60 \frac{\text{km}}{\text{h}}", r"60 \frac{\text{m}}{\text{s}}"),
    ("1:2", r"2 \text{ to } 1"),
    (r"\langle 1,2 \rangle", "1,2"),
    (r"\langle 1,2 \rangle", r"\langle 2,1 \rangle"),
    # anagrams, letter by letter
    ("ACB", "ABC"), ("stressed", "desserts"), ("listen", "silent"), ("ab", "ba"), (r"\text{NO}", r"\text{ON}"), ("saw", "was"),
    ("triangle ABC", "triangle ACB"), ("even", "never"), ("Sunday", "Monday"), ("increasing", "decreasing"), ("第1", "第2"), ("是", "否"),
    # bases
    ("101_2", "101_3"), ("12_5", "12_{6}"), ("1A_{16}", "1B_{16}"), ("12_5", "7"), ("77_8", "63_8"), ("2_3", "3_2"),
    # points, intervals, lists, sets
    ("(1,2)", "(2,1)"), ("[1,2]", "(1,2)"), ("(1,2)", r"\{1,2\}"), ("(1,2,3)", "1,2,3"), ("(1,2),(3,4)", "1,2,3,4"), ("[1,2)", "(1,2]"),
    ("((1,2),(3,4))", "(1,2,3,4)"), (r"x\in(0,1)", r"x\in[0,1]"), (r"(1,\infty)", r"[1,\infty)"), ("1,2,3", "1,2,3,3"), ("1,2", "2"),
    ("1, 2, 3", "123"), ("1 2", "12"), ("(3,4)", "4"),
    # small numbers, and large ones that differ by little
    ("10^{-7}", r"2\cdot 10^{-7}"), ("1e-9", "2e-9"), ("0", "1e-12"), ("10^{-15}", "0"), ("e^{-50}", "e^{-51}"),
    (r"\frac{1}{100!}", r"\frac{1}{99!}"), (r"\left(\frac{1}{2}\right)^{60}", r"\left(\frac12\right)^{61}"), ("1-2^{-60}", "1"),
    (r"\frac{1}{10^{12}}", r"\frac{1}{10^{13}}"), ("2^{100}", "2^{100}+1"), ("10^{20}", "10^{20}+1"), (r"\sqrt{2}-1.41421356", "0"),
    # numbers that were parted or joined
    ("3 4/5", "34/5"), (r"2\frac12", r"\frac{2}{12}"), ("1.5", "15"), ("0.5", ".05"), ("2^3", "23"), ("10^{3}", "103"), ("12", "1,2"),
    # expressions
    ("x+1", "x-1"), ("xy", "x+y"), ("x_1", "x_2"), ("a_{n}", "a_{n+1}"), (r"\log_2 x", r"\log_3 x"), ("2+3i", "2-3i"), (r"\pm 3", "3"),
    (r"4\pi", r"\pi^4"), ("|x|", "x"), (r"\sqrt[3]{2}", r"\sqrt{2}"), ("f(x)", "g(x)"), (r"\emptyset", r"\{0\}"), (r"\text{None}", "0"),
]  # fmt: skip


@pytest.mark.parametrize("first, second", SAME)
def test_writings_of_one_answer(first, second):
    assert [judge.compare(first, second)[0], judge.compare(second, first)[0]] == [True, True]


@pytest.mark.parametrize("first, second", OTHER)
def test_writings_of_two_answers(first, second):
    assert [judge.compare(first, second)[0], judge.compare(second, first)[0]] == [False, False]
