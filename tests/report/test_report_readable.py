"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.report import readable

TABLE = [
    (1_638_000, "tokens", "1.64 M tokens"),
    (12_345, "tokens", "12.3 k tokens"),
    (9_999, "tokens", "9,999 tokens"),
    (0.6, "s", "0.6 s"),
    (59.6, "s", "1 min"),
    (200, "s", "3 min 20 s"),
    (4800, "s", "1 h 20 min"),
    (86_400, "s", "1 d"),
    (0.001, "s", "below 0.01 s"),
    (452, "MB", "452 MB"),
    (14_533, "MB", "14.5 GB"),
    (0.3, "MB", "300 kB"),
    (20.64, "%", "20.6 %"),
    (3.14159, "", "3.14"),
    (0.00021, "", "0.00021"),
    (1e-9, "", "below 0.0001"),
    (-1_500_000, "", "-1.5 M"),
    (0, "s", "0 s"),
    (None, "s", "–"),
]


@pytest.mark.parametrize("value, unit, said", TABLE)
def test_amounts(value, unit, said):
    assert readable.amount(value, unit) == said


@given(st.floats(-1e15, 1e15), st.sampled_from(["s", "MB", "tokens", "%", ""]))
def test_no_amount_has_an_exponent(value, unit):
    assert "e" not in readable.amount(abs(value) if unit == "s" else value, unit).removesuffix(
        "tokens"
    ).replace("below", "")


def test_small_probabilities_are_written_as_by_hand():
    assert [readable.small(p) for p in (1.2e-119, 0.034, 1.0, 0)] == ["1 × 10⁻¹¹⁹", "0.034", "1", "0"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_setting_has_all_of_its_digits(value):
    said = readable.exact(value)
    plain = said.replace(" × 10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(plain) == value and "e" not in said


def test_settings_read_as_they_are_typed():
    typed = {6e-05: "0.00006", 1e-08: "1 × 10⁻⁸", 0.95: "0.95", 100.0: "100", 1.25e-09: "1.25 × 10⁻⁹"}
    assert {value: readable.exact(value) for value in typed} == typed
