r"""One normal form for golds and answers: what is typed in many ways for the eye is written in one way.

    normal(r"$\$32,\!348$") == "32,348"        normal("５０°") == r"50^{\circ}"        normal("$5$;$10$") == "5;10"

It changes how a text is written, never what it says: delimiters of mathematics (`$`, `\(`), currency signs, spaces, sizes
of brackets, full-width characters, symbols of Unicode that LaTeX has a name for. Both sides go through it before any
comparison, so that delimiters within a gold ("15 and $22.5 \mathrm{~min}$") cannot hide a part of it.
"""

from __future__ import annotations

import re
import unicodedata

# full-width forms of ASCII, and punctuation and spaces that ASCII has too
WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)} | str.maketrans(
    "、。∶︰【】〔〕￥“”‘’′−–—‐‑⁄∕\u3000\u00a0\u2009\u202f",
    ",.::[]()¥\"\"'''-----//    ",
    "\u200b\ufeff",
)
NAMES = """
× times  ÷ div  · cdot  ⋅ cdot  ∙ cdot  ± pm  ∓ mp  ≈ approx  ≤ le  ⩽ le  ≦ le  ≥ ge  ⩾ ge  ≧ ge  ≠ neq  ∞ infty
∪ cup  ∩ cap  ∈ in  ∉ notin  ∅ emptyset  ∠ angle  △ triangle  ⊥ perp  → to  π pi  α alpha  β beta  γ gamma  δ delta
ε varepsilon  θ theta  λ lambda  μ mu  ρ rho  σ sigma  τ tau  φ varphi  ω omega  Ω Omega  Δ Delta
""".split()
SYMBOLS = {
    **{ord(symbol): rf"\{name} " for symbol, name in zip(NAMES[::2], NAMES[1::2], strict=True)},
    **{ord(symbol): rf"\mathbb{{{letter}}}" for symbol, letter in zip("ℝℤℕℚℂ", "RZNQC", strict=True)},
    ord("°"): r"^{\circ}",
}
CHINESE = re.compile(r"[\u4e00-\u9fff]")
CIRCLED = re.compile(r"[①-⑳]|\\textcircled\s*\{?\s*(\d+)\s*\}?")
RAISED = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
LOWERED = re.compile("[₀-₉]+")
VULGAR = re.compile("[¼-¾⅐-⅞]")
ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))")

# a backslash that somebody's JSON doubled; before other letters two of them end a row of a matrix
DOUBLED = re.compile(
    r"(?<!\\)\\\\(?=(?:left|right|[dtc]?frac|sqrt|text(?:bf|rm)?|math(?:rm|bf|bb)|boxed|pi|cdot|times|infty|circ|pm|begin|end"
    r"|cup|cap|theta|alpha|beta|log|ln|sin|cos|tan|leq?|geq?|quad)(?![A-Za-z]))"
)
CURRENCY = re.compile(r"\\(?:\$|pounds|euro|yen)(?![A-Za-z])|[€£¥]")
DELIMITERS = re.compile(
    r"\\begin\{(?:equation|align)\*?\}|\\end\{(?:equation|align)\*?\}|(?<!\\)\\[()\[\]]|\$"
)
THOUSANDS = re.compile(r"(?<=\d)\s*(?:\{\s*,\s*\}|\\[,!;: ]|~|,\\!)\s*(?=\d{3}(?!\d))")
SPACES = re.compile(
    r"(?<!\\)\\(?:[,;:! ]|q?quad(?![A-Za-z])|(?:thin|med|thick|neg)?space(?![A-Za-z])|hfill(?![A-Za-z])|(?:text|mbox|mathrm)\s*\{\s*\})|~|\s+"
)
SIZES = re.compile(
    r"\\(?:left|right|[bB]igg?[lmr]?|displaystyle|textstyle|limits|nolimits)(?![A-Za-z])\s*\.?"
    r"|\\(?:small|normalsize|large|Large|LARGE|huge|Huge)(?![A-Za-z])\s*|\\(?:text)?color\s*\{[A-Za-z!\d]*\}"
)
SHOWN = re.compile(r"\\(?:underline|boldsymbol|bm|pmb)\s*\{([^{}]*)\}|^\s*\{([^{}\\]*)\}\s*$")
# signs and digits that were set as text; ordinals; what stands side by side, and is no number parted by a space
SIGNS = re.compile(r"\\(?:text|textbf|textrm|mathrm|mbox)\s*\{\s*([-+=<>.,:;%/\d][-+=<>.,:;%/\d ]*)\}")
ORDINAL = re.compile(
    r"(?<=\d)\s*\^\s*(?:\{\s*\\(?:text|mathrm)\s*\{(st|nd|rd|th)\}\s*\}|\\(?:text|mathrm)\s*\{(st|nd|rd|th)\}|\{(st|nd|rd|th)\})"
)
BESIDE = re.compile(
    r"(?<=[\d})])\s*(?:\\q?quad(?![A-Za-z])\s*)+(?=[-+]?\s*(?:\d|\\(?:frac|sqrt)|[A-Za-z]\s*(?:_\s*\{?\w\}?)?\s*=))"
)
UNIT_OVER_UNIT = re.compile(r"\\frac" + r"\s*\{\s*\\(?:text|mathrm)\s*\{([^{}]*)\}\s*\}" * 2)
SAID = re.compile(
    r"^\s*(?:\\text\s*\{\s*)?(?:(?:the )?(?:final )?answer(?: is|:)+|答案(?:是|为|:)+)\s*\}?(?=[^}]*(?:\{|$))",
    re.IGNORECASE,
)
DOTS = re.compile(r"(?<=,)\s*(?:\.{3}|…)\s*(?=,)")  # of a list whose middle is left out
DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\(?:circ|degree)(?![A-Za-z])\s*\}?|\\degree(?![A-Za-z]))")
SYNONYMS = r"""
\dfrac \frac  \tfrac \frac  \cfrac \frac  \leq \le  \leqslant \le  \geq \ge  \geqslant \ge  \ne \neq  \varnothing \emptyset
\oslash \emptyset  \colon :  \lbrace \{  \rbrace \}  \dots \ldots  \cdots \ldots  \langle (  \rangle )  \lbrack [  \rbrack ]
""".split()
SAME = dict(zip(SYNONYMS[::2], SYNONYMS[1::2], strict=True))
COMMAND = re.compile(r"\\[A-Za-z]+")
CONJUNCTION = re.compile(
    r"\s*,?\s*(?:\\(?:text|mbox|mathrm)\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b|[和或与及])\s*"
)
WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}"
)


def normal(text: str) -> str:
    """The normal form. It is its own: `normal(normal(text)) == normal(text)`."""
    before = None
    while text != before:  # what is taken away may bring together what is to be taken away
        before, text = text, _plainer(text)
    return text


def _plainer(text: str) -> str:
    text = DOUBLED.sub(r"\\", re.sub(r"\s+", " ", text.translate(WIDE)))
    if not text.isascii():
        text = _from_unicode(text)
    text = CIRCLED.sub(_circled, text).replace("**", "")
    text = THOUSANDS.sub(lambda found: "," if "," in found[0].replace("\\,", "") else "", text)
    text = DELIMITERS.sub(" ", CURRENCY.sub(" ", text))
    text = ORDINAL.sub(lambda found: found[found.lastindex], SIGNS.sub(r" \1 ", BESIDE.sub(", ", text)))
    text = SIZES.sub("", COMMAND.sub(lambda found: SAME.get(found[0], found[0]), text))
    text = SHOWN.sub(lambda found: found[1] or found[2] or "", text)
    text = SAID.sub("", UNIT_OVER_UNIT.sub(r"\\text{\1/\2}", text))
    text = DOTS.sub(r"\\ldots", DEGREE.sub(r"^{\\circ}", text))
    text = re.sub(r" +", " ", SPACES.sub(" ", text))
    if CHINESE.search(text) and not CHINESE.search(joined := CONJUNCTION.sub(", ", text)):
        text = joined
    return text.lstrip(" ,;:").rstrip(" .,;:\\")


def _circled(found: re.Match) -> str:
    return f"({found[1] or ord(found[0]) - ord('①') + 1})"


def _from_unicode(text: str) -> str:
    text = RAISED.sub(
        lambda found: "^{" + unicodedata.normalize("NFKC", found[0]).replace("−", "-") + "}", text
    )
    text = LOWERED.sub(lambda found: "_{" + unicodedata.normalize("NFKC", found[0]) + "}", text)
    text = VULGAR.sub(lambda found: " " + unicodedata.normalize("NFKC", found[0]).replace("⁄", "/"), text)
    text = ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2]}}}", text)
    return text.translate(SYMBOLS)


def unwrapped(text: str) -> str:
    r"""The text without `\text{}`, `\mathrm{}` and the like around its parts."""
    while (inner := WRAPPED.sub(r" \1 ", text)) != text:
        text = inner
    return re.sub(r"\s+", " ", text).strip(" .")


def squeezed(text: str) -> str:
    """The text without spaces that say nothing, for comparing what was typed: `1 1/2` is not `11/2`."""
    return re.sub(r"(?<!\d) | (?!\d)", "", text)


def parts(text: str) -> list[str]:
    """What commas, semicolons, "and" and "or" outside of all brackets separate."""
    text = CONJUNCTION.sub(",", text)
    found, start, depth = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in ",;" and depth == 0:
            found.append(text[start:position].strip())
            start = position + 1
    return [*found, text[start:].strip()]
