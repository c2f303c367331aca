r"""Numbers as they are written in answers, read exactly: `10,080`, `1\frac{4}{5}`, `4.5e33`, `12\%`, `9 (apples)`, `25分钟`.

    number(r"-\frac{270}{7}\text{ degrees}") == Number(Fraction(-270, 7), unit="degree")
    number("2x") is None

The text is in the normal form of `notation`. Whatever is not wholly a number with a unit is None: an expression, a list,
a variable. So `2m` is none either, for m may be a variable; `2 \text{ m}` and `2 km` are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from distillery.evaluate import notation, number_words

LONGEST = 400  # characters; the numbers of answers have a few
GREATEST_EXPONENT = 400
DECIMALS = Fraction(1, 2 * 10**6)  # math-verify takes decimals as equal that agree in six places
RELATIVE = Fraction(1, 10**4)  # and we only where that is not all of the number

WHOLE = r"\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?!\d)|\d+"
DECIMAL = rf"(?:(?:{WHOLE})(?:\.\d*)?|\.\d+)"
POWER = re.compile(
    rf"(?P<sign>[+-]?)\s*(?:(?P<mantissa>{DECIMAL})\s*(?:[eE]|(?:\\times|\\cdot|\*|x)\s*10\s*\^)|(?P<ten>10\s*\^))"
    r"\s*(?:\{\s*(?P<braced>[+-]?\s*\d+)\s*\}|\(\s*(?P<round>[+-]?\s*\d+)\s*\)|(?P<bare>[+-]?\d+))"
)
FRACTION = rf"\\frac\s*(?:\{{\s*(?P<top>-?\s*{DECIMAL})\s*\}}|(?P<top1>\d))\s*(?:\{{\s*(?P<bottom>-?\s*{DECIMAL})\s*\}}|(?P<bottom1>\d))"
SLASH = rf"(?P<over>{DECIMAL})\s*/\s*(?P<under>{DECIMAL})"
BODY = re.compile(
    rf"(?P<sign>[+-]?)\s*(?:(?P<whole>{WHOLE})?\s*{FRACTION}|(?:(?P<mixed>\d+)\s+)?{SLASH}|(?P<decimal>{DECIMAL}))"
)
REPEATING = re.compile(
    r"(?P<sign>-?)\s*(?P<before>\d*\.\d*)\s*\\(?:overline|bar|dot)\s*\{\s*(?P<period>\d+)\s*\}"
)
PREFIX = re.compile(r"(?:\\approx|\\sim|约|大约|=|US|USD|RMB|HK|Rs\.?)\s*")
PERCENT = re.compile(r"\s*(?:\\?%|\\text\s*\{\s*(?:percent(?:age)?|pct)\s*\}|\b(?:percent(?:age)?|pct)\b)")

# units that answers bear, each followed by its other names; powers and "per" are read off before
UNITS = """
m metre meter 米: cm centimetre centimeter 厘米: mm millimetre millimeter 毫米: dm 分米: km kilometre kilometer 千米 公里
inch in inches 英寸: foot ft feet 英尺: yard yd 码: mile mi 英里: g gram 克: kg kilogram 千克 公斤: mg milligram 毫克
pound lb lbs 磅: ounce oz 盎司: ton tonne 吨: s sec second 秒: min minute 分钟 分: h hr hour 小时 时: day 天 日: week 周 星期
month 月 个月: year yr 年 岁: l L liter litre 升: ml mL milliliter millilitre 毫升: gallon gal 加仑: dollar usd 美元
cent penny pennies: yuan rmb 元 人民币: jiao 角: degree deg 度: mph: kmh kph: J joule 焦耳: N newton 牛: W watt 瓦: V volt 伏: K kelvin
Hz hertz 赫兹: eV: Pa pascal
"""
CANONICAL = {name: names.split()[0] for names in re.split("[:\n]", UNITS) for name in names.split()}
MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
MULTIPLIERS |= {"dozen": 12, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
MULTIPLIER = re.compile(
    r"\s*(?:(?P<open>\\(?:text|mathrm|mbox|textrm)\s*\{)?\s*(?P<word>hundred|thousand|million|billion|trillion|dozen)(?![A-Za-z])"
    r"|(?P<chinese>[百千万亿])(?!分))",
    re.IGNORECASE,
)
PRIMES = [
    {"'", "foot"},
    {"'", "min"},
    {'"', "inch"},
    {'"', "s"},
]  # what the marks stand for, of lengths and of arcs
LONE = set("mgshlLJNWVK")  # a unit only where it is marked as text: else a variable
MEASURE_WORDS = re.compile(r"[\u4e00-\u9fff]{1,6}")  # 个, 只 ...
COUNTED = re.compile(
    r"(?!(?:arc)?(?:sin|cos|tan|cot|sec|csc|log|ln|exp|sqrt|root|inf)|alpha|beta|gamma|delta|theta|lambda|sigma|omega)[A-Za-z]{4}"
)
POWERS = {
    "^2": re.compile(r"\^\s*\{?\s*2|平方|\bsquared?\b|\bsq\b"),
    "^3": re.compile(r"\^\s*\{?\s*3|立方|\bcubi?c?\b|\bcubed?\b|\bcu\b"),
}
POWER_MARK = re.compile(r"\s*\^\s*\{?\s*-?[1-4]\s*\}?|平方|立方|\b(?:squared?|sq|cubic|cubed?|cu)\b\.?")
SUFFIX = re.compile(
    r"\s*\(\s*(?P<round>[A-Za-z][A-Za-z ,.'/-]*)\)"
    r"|\s*(?P<marked>(?:\\(?:text|mathrm|mbox|textrm|operatorname|mathbf)\s*\{[^{}]*\}(?:\s*\^\s*\{?\s*-?[1-4]\s*\}?)?\s*/?\s*)+)"
    r"|\s*(?P<chinese>(?:[\u4e00-\u9fff]|/)+)"
    r"|\s*\^\{\\circ\}\s*(?P<degree>[CF]?)"
    r"|\s*(?P<prime>''?|\"|\^\s*\{?\s*\\prime\s*(?:\\prime)?\s*\}?)"
    r"|(?P<bare>\s*[A-Za-z][A-Za-z ./]*(?:\^\s*\{?[1-4]\}?)?)"
)


@dataclass(frozen=True)
class Number:
    """A number as it was written, with its unit.

    `value` is exact; `decimal` says that it was written with a point or an exponent, and so perhaps rounded; `unit` is
    the canonical name of a unit that is known, perhaps with its power (`cm^2`), "?" for another.
    """

    value: Fraction
    decimal: bool = False
    percent: bool = False
    unit: str | None = None


def number(text: str, lone: bool = False) -> Number | None:
    """The number that all of `text` is, or None. With `lone` a bare letter after it is a unit, if there is such a unit."""
    if len(text) > LONGEST:
        return None
    while prefix := PREFIX.match(text):
        text = text[prefix.end() :]
    text = _in_figures(text)
    if found := POWER.match(text):
        exponent = int((found["braced"] or found["round"] or found["bare"]).replace(" ", ""))
        if abs(exponent) > GREATEST_EXPONENT:
            return None
        value, decimal = (
            _plain(found["mantissa"] or "1") * Fraction(10) ** exponent,
            found["mantissa"] is not None,
        )
    elif found := REPEATING.match(text):
        value, decimal = _repeating(found["before"], found["period"]), False
    elif found := BODY.match(text):
        value, decimal = _body(found)
    else:
        return None
    if value is None:
        return None
    value = -value if found["sign"] == "-" else value
    rest = text[found.end() :]
    if percent := PERCENT.match(rest):
        rest = rest[percent.end() :]
    times, rest = _multiplied(rest)
    unit = _unit(rest, lone)
    return None if unit == "" else Number(value * times, decimal, bool(percent), unit)


def _in_figures(text: str) -> str:
    """A number in words in figures, alone or before a unit: other words that begin with one (三角形) count nothing."""
    text = number_words.with_parts(text)
    if found := number_words.leading(notation.unwrapped(text)):
        figures, rest = found
        if not rest or rest == "个" or _known(rest):
            return figures + rest
    return text


def _repeating(before: str, period: str) -> Fraction:
    """`0.1\\overline{6}` is 1/6."""
    places = len(before.partition(".")[2])
    return Fraction("0" + before + "0") + Fraction(int(period), 10**places * (10 ** len(period) - 1))


def _multiplied(rest: str) -> tuple[int, str]:
    """(what words after a number multiply it by, the rest): 5 million, 3万元; 3千米 are kilometres."""
    times = 1
    while (found := MULTIPLIER.match(rest)) and not (found["chinese"] and _known(rest.strip())):
        times *= MULTIPLIERS[(found["word"] or found["chinese"]).lower()]
        rest = (found["open"] or "" if found["word"] else "") + rest[found.end() :]
        rest = "" if re.fullmatch(r"\s*\\[a-z]+\s*\{\s*\}", rest) else rest
    return times, rest


def _body(found: re.Match) -> tuple[Fraction | None, bool]:
    if found["decimal"]:
        return _plain(found["decimal"]), "." in found["decimal"]
    top, bottom = (found[name] or found[other] for name, other in (("top", "top1"), ("bottom", "bottom1")))
    whole = found["whole"] or found["mixed"]
    if found["over"]:
        top, bottom = found["over"], found["under"]
    below = _plain(bottom)
    if below == 0 or (whole and (_plain(top) < 0 or below < 0)):
        return None, False
    return (_plain(whole) if whole else 0) + _plain(top) / below, "." in top + bottom


def _plain(text: str) -> Fraction:
    text = re.sub(r"[, ]", "", text)
    return Fraction(text + "0" if text.endswith(".") else text)


def _unit(rest: str, lone: bool) -> str | None:
    """Canonical unit, "?" for words that count something, None for no unit, "" for what is none."""
    if not rest.strip():
        return None
    found = SUFFIX.fullmatch(rest)
    if not found:
        return ""
    if (
        found["degree"] is not None
    ):  # Celsius, if one says so: like a power, what the other leaves out is not another
        return f"degree^{found['degree']}" if found["degree"] else "degree"
    if found["prime"] is not None:  # feet or minutes of arc, inches or seconds
        return '"' if re.search(r"''|\"|prime.*prime", found["prime"]) else "'"
    if found["chinese"]:
        return _known(found["chinese"]) or ("?" if MEASURE_WORDS.fullmatch(found["chinese"]) else "")
    if found["bare"]:
        name = found["bare"].strip()
        if POWER_MARK.sub("", name) in LONE and not lone:
            return ""
        # a product of variables has no word of four letters after a space
        return _known(name) or ("?" if rest[0] == " " and COUNTED.match(name) else "")
    return _known(re.sub(r"\\[a-z]+|[{}]", " ", found["marked"] or found["round"])) or "?"


def _known(words: str) -> str | None:
    """Canonical name with the power, if one is written: `cm^2` of `square centimeters`, `平方厘米`."""
    power = next((exponent for exponent, pattern in POWERS.items() if pattern.search(words)), "")
    base = _base_unit(POWER_MARK.sub(" ", words).strip(" .,"))
    return f"{base}{power}" if base else None


def _base_unit(name: str) -> str | None:
    if "/" in name or " per " in name:
        name = re.sub(r"\s*(?:/|\bper\b)\s*", "/", name)
        sides = [_base_unit(side) for side in name.split("/")]
        return "/".join(sides) if all(sides) else None
    low = name.lower() if len(name) > 1 else name  # 5M are no metres
    for candidate in (name, low, low.removesuffix("s"), low.removesuffix("es")):
        if candidate in CANONICAL:
            return CANONICAL[candidate]
    return None


def is_unit(name: str) -> bool:
    """Whether a word after a number is a unit, and no variable or product of some."""
    return name not in LONE and _known(name) is not None


def same_unit(gold: Number, answer: Number) -> bool:
    """False where both name units that are known, and other ones: a power left out is not another, a percentage no amount."""
    if not {gold.unit, answer.unit}.isdisjoint({None, "?"}):
        return gold.percent == answer.percent or {gold.unit, answer.unit} <= {None, "?"}
    if {gold.unit, answer.unit} in PRIMES:
        return True
    (first, power), (second, other) = (unit.partition("^")[::2] for unit in (gold.unit, answer.unit))
    return first == second and (power == other or not power or not other)


def equal(gold: Number, answer: Number) -> bool:
    """Equal values: exactly, or where one is a decimal, to six places and to four digits.

    `12\\%` equals both 12 and 0.12, as math-verify has it, for golds are written in both ways.
    """
    pairs = [(gold.value, answer.value)]
    if gold.percent != answer.percent:
        pairs.append(
            (gold.value / (100 if gold.percent else 1), answer.value / (100 if answer.percent else 1))
        )
    return any(_close(a, b, gold.decimal or answer.decimal) for a, b in pairs)


def _close(a: Fraction, b: Fraction, rounded: bool) -> bool:
    difference = abs(a - b)
    return not difference or (
        rounded and difference < DECIMALS and difference <= RELATIVE * max(abs(a), abs(b))
    )
