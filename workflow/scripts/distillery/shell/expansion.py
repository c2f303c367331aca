"""Words become fields as in bash: braces, variables, arithmetic, then splitting at blanks outside quotes.

Every character keeps the line that it was written on: a value is found where it was assigned, not where it is used.
What only the running shell would know (`$1`, an unset name, the output of a command) stays as text that is not `known`.
"""

from __future__ import annotations

import ast
import fnmatch
import operator
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from distillery.shell.lexing import Lexer
from distillery.shell.shell_words import Arithmetic, Part, Piece, Place, Reference, Substitution, Word

Text = tuple[Piece, ...]
RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?\}")
CHOICE = re.compile(r"\{([^{}\s]*,[^{}\s]*)\}")
MOST = 100_000  # fields of one range: a script of hand has fewer
OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    # bash truncates towards zero
    ast.Div: lambda a, b: abs(a) // abs(b) * (1 if a * b >= 0 else -1),
    ast.Mod: lambda a, b: abs(a) % abs(b) * (1 if a >= 0 else -1),
}


@dataclass(frozen=True)
class Field:
    """One word that a command gets."""

    pieces: Text
    place: Place

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def known(self) -> bool:
        return all(piece.known for piece in self.pieces)

    def after(self, count: int) -> Field:
        """Without its first characters, at the line of what follows them."""
        left, kept = count, []
        for piece in self.pieces:
            kept.append(replace(piece, text=piece.text[left:]))
            left = max(0, left - len(piece.text))
        kept = [piece for piece in kept if piece.text]
        return Field(tuple(kept), kept[0].place if kept else self.place)


@dataclass
class Variables:
    """A shell's variables: text, or a tuple of texts for an array."""

    values: dict[str, Text | tuple[Text, ...]] = field(default_factory=dict)

    def assigned(self, word: Word, prefix: int) -> Text | tuple[Text, ...]:
        """What NAME= gives a variable; `prefix` counts the characters up to its value."""
        if word.array is not None:
            return tuple(field.pieces for each in word.array for field in self.fields(each))
        return Field(self._joined(word.parts), word.place).after(prefix).pieces

    def fields(self, word: Word) -> list[Field]:
        """The words that a command gets from this one."""
        found: list[Field] = []
        for parts in _braces(word.parts):
            found += self._split(parts, word.place)
        return found

    def _split(self, parts: Sequence[Part], place: Place) -> Iterator[Field]:
        current: list[Piece] | None = None
        for part in parts:
            for number, pieces in enumerate(self._values(part)):
                if number and current is not None:  # "${ARRAY[@]}" is one word an element
                    yield Field(tuple(current), _start(current, place))
                    current = None
                if part.quoted:
                    current = current or []  # "" is a word
                for piece in pieces:
                    if isinstance(part, Piece) or part.quoted or not piece.known:
                        current = [*(current or []), piece]
                        continue
                    for word in re.findall(r"[ \t\n]+|[^ \t\n]+", piece.text):
                        if not word.isspace():
                            current = [*(current or []), replace(piece, text=word)]
                        elif current is not None:
                            yield Field(tuple(current), _start(current, place))
                            current = None
        if current is not None:
            yield Field(tuple(current), _start(current, place))

    def _joined(self, parts: Sequence[Part]) -> Text:
        return tuple(piece for part in parts for pieces in self._values(part) for piece in pieces)

    def _values(self, part: Part) -> list[Text]:
        """What a part stands for: one text, several for an array's elements."""
        match part:
            case Piece():
                return [(part,)]
            case Arithmetic():
                return [(self._arithmetic(part),)]
            case Substitution():
                return [(_unknown(f"$({part.text})", part.place),)]
            case Reference():
                return self._reference(part)

    def _reference(self, part: Reference) -> list[Text]:
        value = self.values.get(part.name)
        rest = part.rest
        index = re.match(r"\[([@*]|\d+)\]", rest)
        if index:
            rest = rest[index.end() :]
        elements = _elements(value, index.group(1) if index else "0")
        text = tuple(piece for element in elements or () for piece in element)
        operation = re.match(r":?[-=+?]", rest)
        if operation:
            empty = value is None or (operation.group()[0] == ":" and not _text(text))
            other = Lexer(part.place.script, rest[operation.end() :], part.place.line)
            if operation.group()[-1] == "+":
                return [()] if empty else [self._joined(other.word(stops="").parts)]
            if empty:
                default = self._joined(other.word(stops="").parts)
                if operation.group()[-1] == "=":
                    self.values[part.name] = default
                if operation.group()[-1] != "?":
                    return [default]
        if value is None:
            return [(_unknown(f"${part.name}", part.place),)]
        if rest and not operation:
            return [_trimmed(text, rest, part.place)]
        return elements if index else [text]

    def _arithmetic(self, part: Arithmetic) -> Piece:
        unknown = _unknown(f"$(({part.text}))", part.place)
        names = re.sub(r"\$\{?(\w+)\}?", r"\1", part.text)
        try:
            tree = ast.parse(names.strip(), mode="eval").body
            return Piece(str(self._number(tree)), part.place)
        except (SyntaxError, ValueError, ZeroDivisionError):
            return unknown

    def _number(self, node: ast.expr) -> int:
        """A whole number's value.

        Raises:
            ValueError: not a sum of whole numbers that are known.
        """
        match node:
            case ast.Constant(value=int() as value):
                return value
            case ast.Name(id=name):
                value = self.values.get(name)
                return int(_text(_first(value)))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._number(operand)
            case ast.BinOp(op=kind, left=left, right=right) if type(kind) in OPERATIONS:
                return OPERATIONS[type(kind)](self._number(left), self._number(right))
        raise ValueError(ast.dump(node))


def _braces(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """The words that `{00000..00009}` and `{a,b}` make of one."""
    for at, part in enumerate(parts):
        if not isinstance(part, Piece) or part.quoted:
            continue
        match = RANGE.search(part.text) or CHOICE.search(part.text)
        if match is None:
            continue
        before, after = part.text[: match.start()], part.text[match.end() :]
        choices = _range(*match.groups()) if match.re is RANGE else match.group(1).split(",")
        return [
            (*parts[:at], *filter(None, (_piece(part, before + choice),)), *rest)
            for choice in choices
            for rest in _braces((_piece(part, after), *parts[at + 1 :]))
        ]
    return [tuple(parts)]


def _range(first: str, last: str, step: str | None) -> list[str]:
    start, stop, by = int(first), int(last), int(step or 1) or 1
    if abs(stop - start) > MOST:
        return [f"{{{first}..{last}}}"]
    padded = any(re.match(r"-?0\d", end) for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    numbers = range(start, stop + 1, by) if start <= stop else range(start, stop - 1, -by)
    return [f"{number:0{width}d}" for number in numbers]


def _piece(part: Piece, text: str) -> Piece:
    return replace(part, text=text)


def _unknown(text: str, place: Place) -> Piece:
    return Piece(text, place, known=False)


def _text(pieces: Text) -> str:
    return "".join(piece.text for piece in pieces)


def _first(value: Text | tuple[Text, ...] | None) -> Text:
    elements = _elements(value, "0")
    return elements[0] if elements else ()


def _elements(value: Text | tuple[Text, ...] | None, index: str) -> list[Text]:
    """Elements of an array by index, `@` for all; a text is an array of one."""
    if not value:
        return []
    elements = [value] if isinstance(value[0], Piece) else list(value)
    if index in "@*":
        return elements
    return elements[int(index) : int(index) + 1]


def _start(pieces: Sequence[Piece], place: Place) -> Place:
    return next((piece.place for piece in pieces if piece.text), place)


def _trimmed(text: Text, rest: str, place: Place) -> Text:
    """`${NAME#pattern}`, `##`, `%` and `%%`; other forms are left unknown."""
    match = re.fullmatch(r"(##?|%%?)(.+)", rest, re.DOTALL)
    whole = _text(text)
    if match is None:
        return (_unknown(f"${{...{rest}}}", place),)
    kind, pattern = match.groups()
    cuts = range(len(whole) + 1) if kind in ("#", "%%") else range(len(whole), -1, -1)
    for cut in cuts:
        removed, kept = (whole[:cut], whole[cut:]) if kind[0] == "#" else (whole[cut:], whole[:cut])
        if fnmatch.fnmatchcase(removed, pattern):
            return (Piece(kept, text[0].place if text else place),)
    return text
