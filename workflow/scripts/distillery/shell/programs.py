"""Which stage a command of a script is, how it is started, and its flags."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from distillery.shell.expansion import Field
from distillery.shell.shell_commands import Command, Script
from distillery.shell.shell_words import Place

# MindSpeed-LLM's entry points, by the stage that each is; convert_ckpt.py is `export` on its way back
STAGES = {
    "preprocess_data.py": "tokenize",
    "convert_ckpt.py": "convert",
    "convert_ckpt_v2.py": "convert",
    "convert_param.py": "convert",
    "posttrain_gpt.py": "train",
    "pretrain_gpt.py": "train",
    "inference.py": "generate",
    "evaluation.py": "evaluate",
}
LAUNCHERS = {"msrun": "msrun", "torchrun": "torchrun"}
MODULES = {"torch.distributed.launch": "torchrun", "torch.distributed.run": "torchrun"}
FRAMEWORKS = {"msrun": "mindspore", "torchrun": "pytorch"}


@dataclass(frozen=True)
class Flag:
    """One option with its values. `place` is where its value was written; for a switch, where it stands itself."""

    name: str
    values: tuple[Field, ...]
    own_place: Place

    @property
    def place(self) -> Place:
        return self.values[0].place if self.values else self.own_place

    @property
    def text(self) -> str:
        return " ".join(value.text for value in self.values)

    @property
    def known(self) -> bool:
        return all(value.known for value in self.values)

    def __str__(self) -> str:
        return f"{self.name} {self.text}" if self.values else self.name


@dataclass(frozen=True)
class Program:
    """A command that runs one of MindSpeed-LLM's entry points.

    Attributes:
        entry: the entry point that it means; `called` is the one that it names.
        launcher: msrun, torchrun, or python for a process of its own.
        options: the launcher's, with underscores and without the leading dashes.
        stray: words that belong to no flag.
        repeated: flags given before, with other values; the last one counts.
    """

    stage: str
    entry: str
    called: str
    launcher: str
    options: Mapping[str, Flag]
    flags: Mapping[str, Flag]
    stray: tuple[Field, ...]
    repeated: tuple[Flag, ...]
    command: Command
    script: Script = field(repr=False)

    @property
    def place(self) -> Place:
        return self.command.place

    @property
    def framework(self) -> str | None:
        """mindspore or pytorch, None where nothing tells."""
        said = self.flags.get("--ai-framework")
        if self.launcher in FRAMEWORKS:
            return FRAMEWORKS[self.launcher]
        return said.text if said else "mindspore" if "mindspore" in self.called.split("/") else None

    def text(self, flag: str, default: str = "") -> str:
        return self.flags[flag].text if flag in self.flags else default

    def where(self, *flags: str) -> Place:
        """Where the first of these flags has its value; the command itself without any."""
        return next((self.flags[flag].place for flag in flags if flag in self.flags), self.place)


def find(script: Script) -> tuple[list[Program], list[Command]]:
    """A script's programs, and its commands that are none."""
    programs, others = [], []
    for command in script.commands:
        made = program(script, command)
        if made:
            programs.append(made)
        else:
            others.append(command)
    return programs, others


def program(script: Script, command: Command) -> Program | None:
    """The program of a command, None where it runs no entry point, nor one that is misspelt."""
    texts = [word.text for word in command.words]
    at = next((i for i, text in enumerate(texts) if text.endswith(".py")), None)
    if at is None:
        return None
    name = texts[at].rpartition("/")[2]
    near = difflib.get_close_matches(name, STAGES, n=1, cutoff=0.9)
    if not near:
        return None
    before, words = command.words[:at], command.words[at + 1 :]
    launcher, options = _launcher(before)
    flags, stray, repeated = grouped(words)
    stage = STAGES[near[0]]
    if stage == "convert":
        stage = _way(flags)
    return Program(
        stage=stage,
        entry=near[0],
        called=texts[at],
        launcher=launcher,
        options=options,
        flags=flags,
        stray=stray,
        repeated=repeated,
        command=command,
        script=script,
    )


def grouped(words: Sequence[Field]) -> tuple[dict[str, Flag], tuple[Field, ...], tuple[Flag, ...]]:
    """Words as flags by name, those before any flag, and flags that another of their name follows.

    An unset variable that stands alone is no value: the shell makes nothing of it.
    """
    flags: dict[str, Flag] = {}
    stray: list[Field] = []
    repeated: list[Flag] = []
    name = None
    for word in words:
        if word.text.startswith("--") and word.text != "--":
            name, equals, _ = word.text.partition("=")
            values = (word.after(len(name) + 1),) if equals else ()
            if name in flags:
                repeated.append(flags[name])
            flags[name] = Flag(name, values, word.place)
        elif name is None:
            stray.append(word)
        elif word.known or not flags[name].values:
            before = flags[name]
            flags[name] = Flag(name, (*before.values, word), before.own_place)
    again = tuple(flag for flag in repeated if flag.text != flags[flag.name].text)
    return flags, tuple(stray), again


def _way(flags: Mapping[str, Flag]) -> str:
    """Which way a converter goes: convert_ckpt.py's types, or convert_param.py's --cvt-type."""
    said = {
        flag: flags[flag].text
        for flag in ("--load-model-type", "--save-model-type", "--cvt-type")
        if flag in flags
    }
    if said.get("--cvt-type", "hf2mg") != "hf2mg" or said.get("--save-model-type") == "hf":
        return "export"
    return "convert" if said.get("--load-model-type", "hf") == "hf" else "reshard"


def _launcher(words: Sequence[Field]) -> tuple[str, dict[str, Flag]]:
    """What stands before the entry point: msrun and torchrun with their options, or python."""
    for at, word in enumerate(words):
        name = LAUNCHERS.get(word.text.rpartition("/")[2]) or MODULES.get(word.text)
        if name:
            flags, _, _ = grouped(words[at + 1 :])
            return name, {key[2:].replace("-", "_"): flag for key, flag in flags.items()}
    return "python", {}
