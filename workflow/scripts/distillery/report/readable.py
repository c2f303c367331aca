"""Numbers as people read them: 1.64 M tokens, 0.6 s, 1 h 20 min; never 1.638e+06."""

from __future__ import annotations

from decimal import Decimal

STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
GLANCE = 1e4  # below it all digits of a whole number are read at a glance
BINARY = ((1e6, "TB"), (1e3, "GB"), (1.0, "MB"), (1e-3, "kB"))  # of megabytes, 10^6 bytes


def amount(value: float | None, unit: str = "") -> str:
    """A quantity with its unit, in three significant digits, four where they are whole; a dash where there is none.

    Args:
        unit: `s` is said in minutes and hours where they are many, `MB` in what fits, `tokens` in k and M; others follow as they are.
    """
    if value is None:
        return "–"
    if unit == "s":
        return duration(value)
    if unit == "MB":
        size, name = next(((size, name) for size, name in BINARY if abs(value) >= size), BINARY[-1])
        return f"{number(value / size)} {name}"
    return f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """A number without exponent: 1.64 M, 12.3 k, 1,234, 3.14, 0.0021; smaller ones are "below 0.0001"."""
    for step, name in STEPS if abs(value) >= GLANCE else ():
        if abs(value) >= step:
            return f"{_three(value / step)} {name}"
    if value and abs(value) < 1e-4:
        return "below 0.0001"
    return _three(value)


def duration(seconds: float) -> str:
    """0.6 s, 42 s, 3 min 20 s, 1 h 20 min, 2 d 3 h: the two largest parts."""
    if seconds < 59.5:
        return f"{_three(seconds)} s" if seconds >= 0.01 or not seconds else "below 0.01 s"
    minutes, rest = divmod(round(seconds), 60)
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"), (rest, "s")]
    first = next(place for place, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count)


def small(value: float) -> str:
    """A probability or a rate, which may be tiny: two digits, with an exponent as it is written by hand."""
    if not value or abs(value) >= 1e-4:
        return f"{value:.2g}"
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(_RAISED)}"


def exact(value: float) -> str:
    """A setting, all of its digits: 0.00006, 1 × 10⁻⁸, 1000000; what somebody typed must be read off again."""
    written = Decimal(repr(value))
    if not written.is_finite() or not written or 1e-5 <= abs(value) < 1e15:
        return f"{written.normalize():f}"
    digits, exponent = f"{written.normalize():e}".split("e")
    return f"{digits} × 10{str(int(exponent)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _three(value: float) -> str:
    """Three significant digits, two of what is below one; whole numbers keep all of theirs."""
    if abs(value) >= 999.5 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 0.995 else f"{value:.3g}"
