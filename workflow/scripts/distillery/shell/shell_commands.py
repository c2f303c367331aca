"""What a script comes to: its commands with their words, what it exports and sources, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field

from distillery.shell.expansion import Field
from distillery.shell.shell_words import Place


@dataclass(frozen=True)
class Command:
    """Words of a simple command; `then` are the commands that its output is piped into."""

    words: tuple[Field, ...]
    place: Place
    then: tuple[Command, ...] = ()

    @property
    def name(self) -> str:
        return self.words[0].text

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Note:
    """What the reader could not decide, or bash would stumble over."""

    kind: str  # branch, carriage-return, blank
    place: Place
    found: str


@dataclass
class Script:
    """What reading a script found: its commands, and what they leave in the environment."""

    name: str
    commands: list[Command] = field(default_factory=list)
    exports: dict[str, Field] = field(default_factory=dict)
    sourced: list[Field] = field(default_factory=list)
    assigned: dict[str, Field] = field(default_factory=dict)
    pipefail: bool = False  # a pipe's status is that of whatever failed in it, or looked at
    notes: list[Note] = field(default_factory=list)
