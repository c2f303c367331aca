"""What shell text is made of: words of literal pieces, references and arithmetic, and operators, each with its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """A line of a script; messages name it."""

    script: str
    line: int

    def __str__(self) -> str:
        return f"{self.script}:{self.line}"


@dataclass(frozen=True)
class Piece:
    """Literal text on one line. `known` is False for a value that only the running shell would know."""

    text: str
    place: Place
    quoted: bool = False
    known: bool = True


@dataclass(frozen=True)
class Reference:
    """`$NAME` or `${NAME...}`; `rest` is what follows the name in the braces."""

    name: str
    rest: str
    place: Place
    quoted: bool


@dataclass(frozen=True)
class Arithmetic:
    """`$((...))`."""

    text: str
    place: Place
    quoted: bool


@dataclass(frozen=True)
class Substitution:
    """`$(...)` or backquotes: a command, which nobody runs here."""

    text: str
    place: Place
    quoted: bool


Part = Piece | Reference | Arithmetic | Substitution


@dataclass(frozen=True)
class Word:
    """`array` holds the words of NAME=( ... ), whose NAME= are the parts."""

    parts: tuple[Part, ...]
    place: Place
    array: tuple[Word, ...] | None = None

    @property
    def plain(self) -> str | None:
        """Its text if it is literal and without quotes, as keywords and assignments are."""
        plain = all(isinstance(part, Piece) and not part.quoted for part in self.parts)
        return "".join(part.text for part in self.parts) if plain else None


@dataclass(frozen=True)
class Operator:
    """What stands between words: `|`, `&&`, `;`, a redirection, a bracket, a line end."""

    text: str
    place: Place


Token = Word | Operator
