"""Sizes and switches of a model that scripts repeat: the model's own, or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from distillery.launch.mindspeed import accepted_flags
from distillery.planning.finding import Finding
from distillery.shell.programs import Program
from distillery.shell.script_set import Scripts, error

RUNNING = ("train", "generate", "evaluate")
# switches of a model's shape; others of its flags have values
SHAPES = ("--add-qkv-bias", "--untie-embeddings-and-output-weights", "--swiglu", "--group-query-attention")
# other words for the same: a shorter switch, a padded vocabulary by its own size
SYNONYMS = {
    "--position-embedding-type": "--use-rotary-position-embeddings",
    "--padded-vocab-size": "--vocab-size",
}


def find(s: Scripts) -> Iterator[Finding]:
    """Sizes and switches are the model's own: converter and trainer compare none of them."""
    expected = s.model.flags
    if expected is None:
        return
    name = s.model.known.name
    for one in s.programs:
        if one.stage in RUNNING and "--num-layers" in one.flags:
            wrong = list(_differences(one, expected))
        elif one.stage in ("convert", "export"):
            wrong = list(_switches(one, expected, SHAPES[:1]))
        else:
            continue
        if wrong:
            yield error(
                "model-flags",
                [one.where(flag) for flag, _, _ in wrong],
                ", ".join(found for _, found, _ in wrong),
                ", ".join(wanted for _, _, wanted in wrong) + f", as config.json of {name} says",
                "correct them, or name the model that they are of",
            )


def _differences(one: Program, expected: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """(flag, found, wanted) of a program."""
    yield from _switches(one, expected, SHAPES)
    options = accepted_flags.options("posttrain_gpt.py")
    for flag, wanted in expected.items():
        if not wanted or flag in ("--rotary-base", "--make-vocab-size-divisible-by") or not _said(one, flag):
            continue
        default = options[flag].get("default")
        found = one.text(flag, "" if default is None else str(default))
        if not same(found, wanted):
            yield flag, f"{flag} {found}" if found else f"no {flag}", f"{flag} {wanted}"


def _said(one: Program, flag: str) -> bool:
    """Whether a program says a flag or leaves it to its default: another word for it is not compared."""
    known = flag not in one.flags or one.flags[flag].known
    return known and (
        flag in one.flags or SYNONYMS.get(flag) not in one.flags and flag != "--padded-vocab-size"
    )


def _switches(one: Program, expected: dict[str, str], names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    for flag in names:
        given, wanted = flag in one.flags, flag in expected
        if given != wanted:
            yield flag, flag if given else f"no {flag}", flag if wanted else f"no {flag}"


def same(one: str, other: str) -> bool:
    """Whether two values of a flag are equal, numbers as numbers."""
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other
