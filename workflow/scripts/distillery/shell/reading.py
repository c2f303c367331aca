"""A script's commands with the words that each would get; assignments take effect, `for` loops are written out.

    commands = read("tune.sh", text).commands

Nothing is run. Which way an `if` goes is not known, so all branches are read in their order, and that is noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from distillery.problems import Problem
from distillery.shell.expansion import Field, Variables
from distillery.shell.lexing import ASSIGNMENT, tokens
from distillery.shell.shell_commands import Command, Note, Script
from distillery.shell.shell_words import Operator, Piece, Place, Token, Word

SKIPPED = ("if", "then", "elif", "else", "fi", "while", "until", "do", "done", "{", "}", "!", "time")
CHOOSING = ("if", "elif", "while", "until")
DECLARING = ("export", "declare", "local", "readonly", "typeset")
ENDS = (";", "&", "&&", "||", "\n", ";;", "(", ")")
PIPES = ("|", "|&")
REDIRECTIONS = (">", ">>", "<", "<<", "<<-", "<<<", ">&", "<&", ">|", "&>", "&>>")
MOST = 10_000  # commands of a script whose loops are written out


def read(name: str, text: str) -> Script:
    """All that a script says.

    Raises:
        Problem: a quote or bracket that never closes, or loops without an end in sight.
    """
    script = Script(name)
    if "\r\n" in text:
        line = text[: text.index("\r\n")].count("\n") + 1
        script.notes.append(Note("carriage-return", Place(name, line), "lines that end as Windows ends them"))
        text = text.replace("\r\n", "\n")
    reader = Reader(script, tokens(name, text))
    reader.run(0, len(reader.tokens))
    return script


class Reader:
    """Follows a script's tokens as bash would, without running anything: variables, lists, pipes."""

    def __init__(self, script: Script, stream: list[Token]) -> None:
        self.script, self.tokens, self.variables = script, stream, Variables()

    def run(self, at: int, end: int) -> None:
        """The commands of tokens `at` to `end`."""
        pipeline: list[Command] = []
        while at < end:
            token = self.tokens[at]
            if isinstance(token, Operator):
                # a pipe goes on in the next line
                if token.text in ENDS and not (token.text == "\n" and self._operator(at - 1) in PIPES):
                    self._close(pipeline)
                    pipeline = []
                at += 1
                continue
            if after := self._keyword(at, end):
                at = after
                continue
            at, command = self._simple(at, end)
            if command:
                pipeline.append(command)
        self._close(pipeline)

    def _keyword(self, at: int, end: int) -> int | None:
        """Behind a keyword and what belongs to it, None where a command begins."""
        word = self.tokens[at].plain
        following = self.tokens[at + 1 : at + 3]
        if [getattr(one, "text", "") for one in following] == ["(", ")"]:
            self._note("branch", at, f"the function {word}")
            return at + 3
        if word in CHOOSING or word == "function":
            self._note("branch", at, word)
        if word == "function":
            return at + 2
        if word in SKIPPED:
            return at + 1
        if word == "for":
            return self._loop(at, end)
        if word in ("case", "select"):
            self._note("branch", at, word)
            return self._closing(at, end, (word,), "esac" if word == "case" else "done")
        if word == "[[":
            return next((i + 1 for i in range(at, end) if self._plain(i) == "]]"), end)
        return None

    def _loop(self, at: int, end: int) -> int:
        body = next((i for i in range(at, end) if self._plain(i) == "do"), end)
        done = self._closing(body, end, ("do",), "done")
        name, listed = self._plain(at + 1), self._plain(at + 2) == "in"
        items = [
            one
            for token in self.tokens[at + 3 : body]
            if listed and isinstance(token, Word)
            for one in self.variables.fields(token)
        ]
        if not listed or not name:
            self._note("branch", at, "a for loop over what only the running shell knows")
            self.run(body + 1, done - 1)
        for item in items:
            self.variables.values[name] = item.pieces
            self.run(body + 1, done - 1)
        return done

    def _closing(self, at: int, end: int, opening: Sequence[str], closing: str) -> int:
        """Behind the keyword that closes the one at `at`."""
        depth = 0
        for here in range(at, end):
            begins = (
                here == at or isinstance(self.tokens[here - 1], Operator) or self._plain(here - 1) in SKIPPED
            )
            word = self._plain(here) if begins else None
            depth += (word in opening) - (word == closing)
            if word == closing and not depth:
                return here + 1
        raise Problem(
            f"{opening[0]} without its {closing}",
            where=self.tokens[at].place if at < end else self.tokens[-1].place,
            wanted="a script that bash reads to its end",
            fix=f"bash -n {self.script.name} names the line where it gives up",
        )

    def _plain(self, at: int) -> str | None:
        token = self.tokens[at] if at < len(self.tokens) else None
        return token.plain if isinstance(token, Word) else None

    def _operator(self, at: int) -> str | None:
        token = self.tokens[at] if at >= 0 else None
        return token.text if isinstance(token, Operator) else None

    def _note(self, kind: str, at: int, found: str) -> None:
        note = Note(kind, self.tokens[at].place, found)
        if note not in self.script.notes:
            self.script.notes.append(note)

    def _simple(self, at: int, end: int) -> tuple[int, Command | None]:
        """A command and what follows it."""
        words: list[Word] = []
        while at < end:
            token = self.tokens[at]
            if isinstance(token, Word):
                words.append(token)
            elif token.text in REDIRECTIONS:
                at += 1  # and its target
            else:
                break
            at += 1
        assignments = []
        while words and (prefix := _prefix(words[0])):
            assignments.append((prefix, words.pop(0)))
        for prefix, word in assignments:
            self._assign(prefix, word, kept=not words)
        if not words:
            return at, None
        place = words[0].place
        declaring = words[0].plain in DECLARING
        if declaring:
            for word in words[1:]:
                if prefix := _prefix(word):
                    self._assign(prefix, word, kept=True)
                    name = prefix.rstrip("+=")
                    self.script.exports[name] = self.script.assigned[name]
                elif word.plain in self.script.assigned:
                    self.script.exports[word.plain] = self.script.assigned[word.plain]
            return at, None
        fields = tuple(field for word in words for field in self.variables.fields(word))
        return at, self._known(fields, place) if fields else None

    def _known(self, fields: tuple[Field, ...], place: Place) -> Command | None:
        texts = [field.text for field in fields]
        if texts[0] in ("source", ".") and len(fields) > 1:
            self.script.sourced.append(replace(fields[1], place=place))
            return None
        self.script.pipefail |= any("PIPESTATUS" in text for text in texts)
        if texts[0] == "set":
            self.script.pipefail |= "pipefail" in texts
            return None
        return Command(fields, place)

    def _assign(self, prefix: str, word: Word, *, kept: bool) -> None:
        """`kept` is False for NAME=value before a command, which holds for that command alone."""
        name = prefix.rstrip("+=")
        value = self.variables.assigned(word, len(prefix))
        if prefix.endswith("+=") and (before := self.variables.values.get(name)):
            value = before + value  # of two texts or of two arrays
        if word.array is None:
            field = Field(value, value[0].place if value else word.place)
            self.script.assigned[name] = field
            if not kept:
                self.script.exports[name] = field
            blanks = [part for part in word.parts if isinstance(part, Piece) and not part.known]
            self.script.notes += [Note("blank", one.place, f"{name}={one.text}") for one in blanks]
        if kept:
            self.variables.values[name] = value

    def _close(self, pipeline: list[Command]) -> None:
        if not pipeline:
            return
        first, *others = pipeline
        self.script.commands.append(replace(first, then=tuple(others)))
        if len(self.script.commands) > MOST:
            raise Problem(
                "loops that make too many commands",
                where=first.place,
                found=f"more than {MOST}",
                fix="import the script without that loop",
            )


def _prefix(word: Word) -> str | None:
    """NAME= or NAME+= where a word begins with it."""
    text = ""
    for part in word.parts:
        if getattr(part, "quoted", True) or not hasattr(part, "text"):
            break
        text += part.text
    match = ASSIGNMENT.match(text)
    return match.group() if match else None
