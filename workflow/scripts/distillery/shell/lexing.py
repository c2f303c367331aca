"""Shell text as words and operators, the way bash cuts it; quotes, comments and line continuations included.

    for token in tokens("tune.sh", text): ...

A word is a row of parts: literal pieces, references to variables, arithmetic, and command substitutions, each with
the line it stands on. Grammar: POSIX.1-2017, Shell Command Language, 2.2 to 2.6, with bash's arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from distillery.problems import Problem
from distillery.shell.shell_words import (
    Arithmetic,
    Operator,
    Part,
    Piece,
    Place,
    Reference,
    Substitution,
    Token,
    Word,
)

OPERATORS = ("&>>", "<<<", "<<-", ";;", "&&", "||", "|&", "&>", ">>", ">&", ">|", "<&", "<<", *";&|()<>\n")
HEREDOCS = ("<<", "<<-")
NAME = re.compile(r"[A-Za-z_]\w*|[0-9@*#?$!-]")
LONG_NAME = re.compile(r"[0-9]+|" + NAME.pattern)  # in braces
BETWEEN = re.compile(r"(?:[ \t]|\\\n|#[^\n]*)*")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
# what authors leave for others to fill in; to bash it is two redirections
BLANK = re.compile(r"<[A-Za-z][^<>\n|&;]*>(?=\s|$)")


def tokens(script: str, text: str) -> list[Token]:
    """All tokens of a script, the bodies of here-documents left out.

    Raises:
        Problem: a quote, brace or parenthesis that never closes.
    """
    return list(Lexer(script, text).tokens())


class Lexer:
    """A cursor in the text. Every method begins at its construct's first character and ends behind its last."""

    def __init__(self, script: str, text: str, line: int = 1) -> None:
        self.script, self.text, self.at, self.line = script, text, 0, line

    @property
    def place(self) -> Place:
        return Place(self.script, self.line)

    def tokens(self) -> Iterator[Token]:
        ends: list[str] = []  # of here-documents that begin at the next line
        awaited = None
        while (operator := self._operator()) is not None or self.at < len(self.text):
            if operator is None:
                word = self.word()
                number = word.plain is not None and word.plain.isdigit() and self._ahead() in ("<", ">")
                if not number:  # of a file descriptor
                    yield word
                if awaited:
                    ends.append(awaited + "".join(getattr(part, "text", "") for part in word.parts))
                    awaited = None
                continue
            yield operator
            awaited = operator.text[2:] or " " if operator.text in HEREDOCS else None
            if operator.text == "\n":
                for end in ends:
                    self._skip_document(end[1:], tabs=end[0] == "-")
                ends = []

    def word(self, stops: str = " \t\n;&|()<>") -> Word:
        """The word here, up to one of `stops` outside quotes."""
        start, parts = self.place, []
        while self.at < len(self.text) and (self._ahead() not in stops or self._escaped_newline()):
            before = self.at
            parts += self._part(quoted=False, stops=stops)
            prefix = "".join(part.text for part in parts if isinstance(part, Piece))
            if "(" in stops and ASSIGNMENT.fullmatch(prefix):
                if self._ahead() == "(":
                    return Word(tuple(parts), start, self._array())
                if blank := BLANK.match(self.text, self.at):
                    parts.append(Piece(blank.group(), self.place, known=False))
                    self.at = blank.end()
            if self.at == before:
                break
        return Word(tuple(parts), start)

    def _ahead(self, count: int = 1) -> str:
        return self.text[self.at : self.at + count]

    def _escaped_newline(self) -> bool:
        return self._ahead(2) == "\\\n"

    def _step(self, count: int = 1) -> str:
        passed = self._ahead(count)
        self.at += count
        self.line += passed.count("\n")
        return passed

    def _operator(self) -> Operator | None:
        """The operator after blanks, comments and continued lines; None before a word or the end."""
        self._step(len(BETWEEN.match(self.text, self.at).group()))
        found = next((one for one in OPERATORS if self.text.startswith(one, self.at)), None)
        if found is None:
            return None
        place = self.place
        self._step(len(found))
        return Operator(found, place)

    def _array(self) -> tuple[Word, ...]:
        opened = self.place
        self._step()
        words = []
        while True:
            operator = self._operator()
            if operator is None and self.at < len(self.text):
                words.append(self.word())
            elif operator is None:
                raise _open("(", opened)
            elif operator.text == ")":
                return tuple(words)

    def _part(self, *, quoted: bool, stops: str) -> list[Part]:
        """The next part, or several for quoted text."""
        place, one = self.place, self._ahead()
        if one == "$" and (special := self._dollar(quoted)) is not None:
            return special
        if one == "`":
            self._step()
            text = self._until("`", place)
            return [Substitution(text, place, quoted)]
        if one == '"' and not quoted:
            return self._double()
        if one == "'" and not quoted:
            self._step()
            return _pieces(self._until("'", place), place)
        if one == "\\":
            pair = self._step(2)
            if pair == "\\\n":
                return []
            # at the end of the text it escapes nothing
            literal = pair if pair == one or quoted and pair[1:] not in ("$", "`", '"', "\\") else pair[1:]
            return [Piece(literal, place, quoted=True)]
        text = ""
        while self.at < len(self.text) and self._ahead() not in "$`\\" + ('"' if quoted else "\"'" + stops):
            text += self._step()
            if text.endswith("\n"):
                break
        return [Piece(text or self._step(), place, quoted)]

    def _double(self) -> list[Part]:
        opened = self.place
        self._step()
        parts: list[Part] = [Piece("", opened, quoted=True)]
        while self._ahead() != '"':
            if self.at >= len(self.text):
                raise _open('"', opened)
            parts += self._part(quoted=True, stops="")
        self._step()
        return parts

    def _dollar(self, quoted: bool) -> list[Part] | None:
        place = self.place
        if self.text.startswith("$'", self.at) and not quoted:
            self._step(2)
            return [Piece(self._until("'", place, escapes=True), place, quoted=True, known=False)]
        if self.text.startswith("$((", self.at):
            self._step(3)
            parts = [Arithmetic(self._balanced("(", ")", place), place, quoted)]
            self._step()
            return parts
        if self.text.startswith("$(", self.at):
            self._step(2)
            return [Substitution(self._balanced("(", ")", place), place, quoted)]
        if self.text.startswith("${", self.at):
            self._step(2)
            inner = self._balanced("{", "}", place)
            match = LONG_NAME.match(inner)
            count = inner.startswith("#") and len(inner) > 1
            if match is None or count:  # ${#NAME}, ${!NAME}: how long, or which; nothing that our flags hold
                return [Substitution(f"${{{inner}}}", place, quoted)]
            return [Reference(match.group(), inner[match.end() :], place, quoted)]
        match = NAME.match(self.text, self.at + 1)  # $12 is $1 and a 2
        if match is None:
            return None
        self._step(1 + len(match.group()))
        return [Reference(match.group(), "", place, quoted)]

    def _balanced(self, opening: str, closing: str, place: Place) -> str:
        """Up to the bracket that closes; quotes inside keep theirs."""
        start, depth = self.at, 1
        while self.at < len(self.text):
            one = self._ahead()
            if one in "'\"":
                self._step()
                self._until(one, place, escapes=one == '"')
                continue
            if one == "\\":
                self._step()
            depth += (one == opening) - (one == closing)
            if not depth:
                passed = self.text[start : self.at]
                self._step()
                return passed
            self._step()
        raise _open(opening, place)

    def _until(self, end: str, place: Place, *, escapes: bool = False) -> str:
        start = self.at
        while self.at < len(self.text):
            if escapes and self._ahead() == "\\":
                self._step()
            elif self._ahead() == end:
                passed = self.text[start : self.at]
                self._step()
                return passed
            self._step()
        raise _open(end, place)

    def _skip_document(self, end: str, *, tabs: bool) -> None:
        while self.at < len(self.text):
            line = self.text[self.at :].partition("\n")[0]
            self._step(len(line) + 1)
            if (line.lstrip("\t") if tabs else line) == end:
                return


def _pieces(text: str, place: Place) -> list[Part]:
    """Quoted text, a piece a line."""
    return [
        Piece(line, Place(place.script, place.line + number), quoted=True)
        for number, line in enumerate(text.splitlines(keepends=True) or [""])
    ]


def _open(opening: str, place: Place) -> Problem:
    return Problem(
        f"{opening} is opened and never closed",
        where=place,
        wanted="a script that bash reads to its end",
        fix=f"bash -n {place.script} names the line where it gives up",
    )
