"""Which model scripts are about: one that they download, or a recorded one by its sizes and the scripts' own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distillery.launch import commandline
from distillery.launch.mindspeed import shape
from distillery.planning import known_models
from distillery.planning.known_models import Known
from distillery.shell.programs import Program
from distillery.shell.shell_commands import Command
from distillery.shell.shell_words import Place

# sizes that tell models apart; --rotary-base, which scripts get wrong, is not among them
SIZES = ("--num-layers", "--hidden-size", "--ffn-hidden-size", "--num-attention-heads", "--num-query-groups")
# words of which a model that has them is called by, and no other
FAMILIES = ("math", "coder", "instruct", "base", "distill", "0528", "smollm2", "mistral")
VARIANTS = {"math", "coder", "distill", "0528"}  # of which a script that says them is about no other
HOSTS = {"modelscope": "modelscope", "huggingface-cli": "huggingface", "hf": "huggingface"}
URL = re.compile(
    r"https?://(?P<host>[^/]+)/(?P<repo>[^/]+/[^/]+?)(?:\.git)?(?:/resolve/(?P<revision>[^/]+)/.*)?$"
)
NUMBERS = {"0point5b": "0.5b", "1point5b": "1.5b", "1point8b": "1.8b"}


@dataclass(frozen=True)
class Model:
    """A model: its source in the configuration, and what it was taken from."""

    name: str
    source: dict[str, Any]
    place: Place
    reason: str
    known: Known | None
    named: bool  # a script downloads it

    @property
    def flags(self) -> dict[str, str] | None:
        """The flags of its shape with their values, "" for switches; None for an unknown model."""
        if self.known is None:
            return None
        found = grouped(commandline.words(shape.architecture(self.known.architecture)))
        if "rms_norm_eps" not in self.known.config:
            del found["--norm-epsilon"]  # not recorded
        return found


def find(programs: Sequence[Program], commands: Sequence[Command]) -> Model:
    """The model of these programs; unknown ones are the directory that they are converted from."""
    first = programs[0]
    for command in commands:
        if source := downloaded(command, kind="model"):
            repo = source["hub"]["repo"]
            return Model(_name(repo), source, command.place, "", known_models.known(repo), named=True)
    repo = recognised(programs)
    sized = next((one for one in programs if SIZES[0] in one.flags), first)
    if repo:
        source = {"hub": {"host": "modelscope", "repo": repo, "revision": "master"}}
        reason = "recognised by its sizes and the scripts' names: no script downloads it"
        return Model(
            _name(repo), source, sized.where(SIZES[0]), reason, known_models.known(repo), named=False
        )
    directory, place = _directory(programs)
    reason = (
        "of sizes and a name that are not recorded" if SIZES[0] in sized.flags else "no script says its sizes"
    )
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", directory.strip("./ ").rpartition("/")[2]).strip("-.") or "model"
    return Model(name, {"path": {"path": directory}}, place, reason, None, named=False)


def recognised(programs: Sequence[Program]) -> str | None:
    """The one recorded repository that has the stated sizes and no name that contradicts the scripts' words."""
    sizes = _sizes(programs)
    words = _words(programs)
    if not sizes:
        return None
    fitting = [repo for repo in known_models.repositories() if _fits(repo, sizes) and _called(repo, words)]
    # the most particular name: what says distill is no plain model of that size
    marks = {repo: len(_marks(repo)) for repo in fitting}
    most = [repo for repo in fitting if marks[repo] == max(marks.values())]
    return most[0] if len(most) == 1 else None


def downloaded(command: Command, kind: str) -> dict[str, Any] | None:
    """The hub source of `modelscope download`, `huggingface-cli download` or `git clone`; None for other commands.

    Args:
        kind: model or dataset.
    """
    texts = [word.text for word in command.words]
    tool = texts[0].rpartition("/")[2]
    options = {text: texts[i + 1] for i, text in enumerate(texts[:-1]) if text.startswith("--")}
    if texts[:2] == ["git", "clone"]:
        match = next(filter(None, map(URL.match, texts[2:])), None)
        if match is None or match["repo"].startswith("datasets/"):
            return None
        host = "modelscope" if "modelscope" in match["host"] else "huggingface"
        return _hub(host, match["repo"], None) if kind == "model" else None
    if tool not in HOSTS or texts[1:2] != ["download"]:
        return None
    values = set(options.values())
    plain = [text for text in texts[2:] if not text.startswith("-") and text not in values]
    if HOSTS[tool] == "huggingface":
        found = plain[0] if plain and options.get("--repo-type", "model") == kind else None
    else:
        found = options.get(f"--{kind}") or (
            plain[0] if plain and kind == "model" and "--dataset" not in options else None
        )
    return _hub(HOSTS[tool], found, options.get("--revision")) if found and found.count("/") == 1 else None


def _hub(host: str, repo: str, revision: str | None) -> dict[str, Any]:
    default = "master" if host == "modelscope" else "main"
    return {"hub": {"host": host, "repo": repo, "revision": revision or default}}


def _fits(repo: str, sizes: Mapping[str, str]) -> bool:
    stated = grouped(commandline.words(shape.architecture(known_models.known(repo).architecture)))
    # without groups each head is one
    stated.setdefault("--num-query-groups", stated["--num-attention-heads"])
    return all(stated[flag] == size for flag, size in sizes.items())


def _sizes(programs: Sequence[Program]) -> dict[str, str]:
    """Sizes of the first program that states them; heads are the groups where there are none."""
    for program in programs:
        if SIZES[0] in program.flags and SIZES[1] in program.flags:
            sizes = {flag: program.flags[flag].text for flag in SIZES if flag in program.flags}
            sizes.setdefault("--num-query-groups", sizes.get("--num-attention-heads", ""))
            return sizes
    return {}


def grouped(words: Sequence[str]) -> dict[str, str]:
    """The flags of one of our lines with their values, "" for switches."""
    found: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            found[word] = ""
        else:
            found[next(reversed(found))] = word
    return found


def _words(programs: Sequence[Program]) -> set[str]:
    """What scripts and their paths are called, in a model's words: qwen25 is qwen2.5, 0point5b 0.5b."""
    paths = ("--tokenizer-name-or-path", "--load-dir", "--load", "--hf-dir")
    texts = [program.place.script for program in programs]
    texts += [program.flags[flag].text for program in programs for flag in paths if flag in program.flags]
    return {word for text in texts for word in _split(text)}


def _split(text: str) -> set[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text.removesuffix(".sh"))  # Qwen25Math7B
    words = set(re.split(r"[^a-z0-9.]+", f"{text} {apart}".lower()))
    spelt = {NUMBERS.get(word, word) for word in words} | {word.rstrip("0123456789") for word in words}
    # qwen25, llama31: the point is left out of file names
    spelt |= {re.sub(r"^(qwen|llama)-?(\d)(\d)$", r"\1\2.\3", word) for word in spelt}
    joined = {f"{family}{digit}" for family, digit in re.findall(r"(qwen|llama)[-_ ]?(\d\.\d)", text.lower())}
    return spelt | joined


def _called(repo: str, words: set[str]) -> bool:
    """Whether scripts use the words that set a repository apart."""
    name = repo.rpartition("/")[2].lower()
    family = next(
        (f"{one}{number}" for one, number in re.findall(r"(qwen|llama)-?(\d(?:\.\d)?)", name)), None
    )
    own = _marks(repo)
    if "distill" in own:
        family = None  # DeepSeek-R1-Distill-Qwen-7B
    return own <= words and words & VARIANTS <= own and (family is None or family in words)


def _marks(repo: str) -> set[str]:
    return set(FAMILIES) & set(re.split(r"[^a-z0-9.]+", repo.lower()))


def _directory(programs: Sequence[Program]) -> tuple[str, Place]:
    """The Hugging Face directory that scripts read: the converter's, else a tokenizer's."""
    for stage, flags in (
        ("convert", ("--load-dir", "--hf-dir")),
        (None, ("--tokenizer-name-or-path", "--tokenizer-model")),
    ):
        for program in programs:
            if stage in (None, program.stage):
                for flag in flags:
                    if flag in program.flags and program.flags[flag].text:
                        return program.flags[flag].text, program.where(flag)
    return "model", programs[0].place


def _name(repo: str) -> str:
    return repo.rpartition("/")[2].lower()
