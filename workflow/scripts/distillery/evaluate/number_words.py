"""Whole numbers and fractions in words, English and Chinese: the start of an answer such as `twenty-five`, `五个`, `三分之一`.

    leading("one hundred and five") == ("105", "")        leading("五个") == ("5", "个")        leading("三角形") == ("3", "角形")

What follows the number is for the caller to judge: a triangle (三角形) is no number.
"""

from __future__ import annotations

import re

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
).split()
SMALL = {word: value for value, word in enumerate(ONES)}
TENS = {
    word: 10 * value
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
ENGLISH = re.compile(r"[A-Za-z]+(?:[ -][A-Za-z]+)*")
DIGITS = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
PLACES = {"十": 10, "百": 100, "千": 1000}
LARGE = {"万": 10**4, "亿": 10**8}
NUMERAL = "[零〇一二两三四五六七八九十百千万亿]+"
CHINESE = re.compile(rf"(?P<below>{NUMERAL})分之(?P<above>{NUMERAL})|(?P<whole>{NUMERAL})")

# `2 and a half`, in or out of \text{}, as long as no other word stands in there with it
AND_A_PART = re.compile(
    r"(?<=\d)\s*(?:\\(?:text|mathrm|mbox)\s*\{)?\s*and (?:a|one)[ -](half|third|quarter)\b\s*(?:\}|(?![^{]*\}))"
)
PARTS = {"half": " 1/2", "third": " 1/3", "quarter": " 1/4"}


def leading(text: str) -> tuple[str, str] | None:
    """(the number in figures, what follows it), or None: the text begins with no number in words."""
    if ENGLISH.fullmatch(text):
        value = _english(re.split("[ -]", text.lower()))
        return None if value is None else (str(value), "")
    found = CHINESE.match(text)
    if not found:
        return None
    if found["whole"]:
        value = _chinese(found["whole"])
        return None if value is None else (str(value), text[found.end() :])
    # 百分之五 is five hundredths: there a place alone is a number
    above, below = _chinese(found["above"]), PLACES.get(found["below"]) or _chinese(found["below"])
    return (f"{above}/{below}", text[found.end() :]) if above is not None and below else None


def _english(words: list[str]) -> int | None:
    if words == ["zero"]:
        return 0
    total = current = 0
    scale = 10**12
    for place, word in enumerate(words):
        if word == "and":
            if not place or words[place - 1] not in ("hundred", *SCALES) or place == len(words) - 1:
                return None
        elif word in SMALL or word in TENS:
            value, ending = SMALL.get(word) or TENS.get(word, 0), current % 100
            if not value or not (ending == 0 or (ending >= 20 and ending % 10 == 0 and value < 10)):
                return None
            current += value
        elif word == "hundred":
            if not 0 < current < 10:
                return None
            current *= 100
        elif word in SCALES:
            if not 0 < current < 1000 or SCALES[word] >= scale:
                return None
            scale = SCALES[word]
            total, current = total + current * scale, 0
        else:
            return None
    return total + current


def _chinese(text: str) -> int | None:
    """Of `二百零五`, `十二`, `三万`, `二〇二四`; None where it is said in short (`三百五` may be 350) or no number."""
    if all(character in DIGITS for character in text):
        return int("".join(str(DIGITS[character]) for character in text))
    total = section = 0
    digit: int | None = None
    place, large, skipped = 10**4, 10**9, False
    for character in text:
        if character in DIGITS:
            if digit is not None or (skipped and not DIGITS[character]):
                return None
            skipped = skipped or not DIGITS[character]
            digit = DIGITS[character] or None
        elif character in PLACES:
            value = PLACES[character]
            if value >= place or (digit is None and (value > 10 or section or total)):
                return None
            section, digit, place, skipped = section + (digit or 1) * value, None, value, False
        else:
            value = LARGE[character]
            section += digit or 0
            if not section or value >= large:
                return None
            total, section, digit = total + section * value, 0, None
            place, large, skipped = 10**4, value, False
    short = digit is not None and not skipped and (place in (100, 1000) or (total and place == 10**4))
    return None if short or (skipped and digit is None) else total + section + (digit or 0)


def with_parts(text: str) -> str:
    """`2 and a half` as `2 1/2`."""
    return AND_A_PART.sub(lambda found: PARTS[found[1]], text)
