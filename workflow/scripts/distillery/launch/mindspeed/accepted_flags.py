"""What MindSpeed-LLM's argument parsers accept, as data, and a check of command lines against it.

    faults("posttrain_gpt.py", ["--lr", "abc"])   # ["--lr: found 'abc', wanted a float"]

Each version has a data file that names its own sources: mindspeed-llm-2.2.0.json in full, mindspeed-llm-master.json as
what is otherwise there. A line without faults is one that the reference's argparse takes; whether the values suit one
another is the plan's business.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distillery.problems import Problem

FRAMEWORK = "mindspore"  # the guide's
VERSION = "2.2.0"  # where an installation names none
DATA = Path(__file__).parent
# inference.py builds the same parser as the trainer; the converter adds the options of its loader
SAME_PARSER = {"inference.py": "posttrain_gpt.py"}
READERS = {"int": int, "float": float, "str": str, "json": json.loads}


@functools.cache
def _facts(version: str) -> Mapping[str, Any]:
    own = json.loads((DATA / f"{engine(version)}.json").read_text(encoding="utf-8"))
    return _over(_facts(own["like"]), own) if "like" in own else own


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """`own` laid over `base`: an option (what has a type) takes the other's place whole, null takes it away."""

    def both(key: str, value: Any) -> Any:
        nested = isinstance(value, dict) and "type" not in value and isinstance(base.get(key), dict)
        return _over(base[key], value) if nested else value

    merged = {**base, **{key: both(key, value) for key, value in own.items()}}
    return {key: value for key, value in merged.items() if value is not None}


def engine(version: str | None) -> str:
    """How keys of runs and manifests of datasets call a version: `mindspeed-llm-2.2.0`."""
    return f"mindspeed-llm-{version or VERSION}"


def options(
    parser: str, framework: str = FRAMEWORK, version: str | None = None
) -> Mapping[str, Mapping[str, Any]]:
    """Options of one of the reference's parsers; {} of a script that the version does not have.

    They are `posttrain_gpt.py`, `inference.py`, `preprocess_data.py`, `convert_ckpt.py hf` and `convert_ckpt.py mg`
    (named by `--load-model-type`), or `convert_ckpt_v2.py` (see `converter`).
    Each option is `{"type": "int|float|str|json|switch", "choices", "nargs", "default", "required"}`.

    Args:
        framework: `mindspore` or `pytorch`: which of its back ends; each has options of its own.
        version: `2.2.0` (None, too) or `master`.
    """
    facts, name = _facts(version or VERSION), SAME_PARSER.get(parser, parser)
    own = facts["frameworks"][framework]["parsers"]
    return {**facts["parsers"].get(name, {}), **own.get(name, {})}


def script(name: str, framework: str = FRAMEWORK, version: str | None = None) -> str:
    """Where a back end has the script that the guide calls `name`, from the installation's directory on."""
    return _facts(version or VERSION)["frameworks"][framework]["scripts"].get(name, name)


def converter(version: str | None) -> str:
    """The converter of a version: `convert_ckpt.py`, or `convert_ckpt_v2.py`, which has other flags."""
    return _facts(version or VERSION)["converter"]


def refuse(parser: str, words: Sequence[str], framework: str = FRAMEWORK, version: str | None = None) -> None:
    """Stop before a line is started that MindSpeed-LLM would reject.

    Raises:
        Problem: that parser would reject these words; names every reason.
    """
    if rejected := faults(parser, words, framework, version):
        raise Problem(
            f"MindSpeed-LLM {version or VERSION} would reject this line", found="\n           ".join(rejected)
        )


def faults(
    parser: str, words: Sequence[str], framework: str = FRAMEWORK, version: str | None = None
) -> list[str]:
    """Every reason why that parser would reject these command-line words; [] if it takes them."""
    known = options(parser, framework, version)
    found: list[str] = []
    given: set[str] = set()
    for option, values in grouped(words):
        fact = known.get(option)
        if fact is None:
            found.append(f"{option}: MindSpeed-LLM {version or VERSION}'s {parser} has no such option")
            continue
        if option in given:
            found.append(f"{option}: given twice")
        given.add(option)
        found += [f"{option}: {fault}" for fault in _value_faults(fact, values)]
    found += [
        f"{option}: required, but not given"
        for option, fact in known.items()
        if fact.get("required") and option not in given
    ]
    return found


def grouped(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(option, its values); words before the first option come under the option ''."""
    groups: list[tuple[str, list[str]]] = []
    for word in words:
        if word.startswith("--"):
            option, equals, value = word.partition("=")
            groups.append((option, [value] if equals else []))
        elif groups:
            groups[-1][1].append(word)
        else:
            groups.append(("", [word]))
    return groups


def _value_faults(fact: Mapping[str, Any], values: Sequence[str]) -> list[str]:
    if fact["type"] == "switch":
        return [f"a switch takes no value, found {values[0]!r}"] if values else []
    nargs = fact.get("nargs")
    least, most = {None: (1, 1), "?": (0, 1), "+": (1, None), "*": (0, None)}[nargs]
    if len(values) < least or (most is not None and len(values) > most):
        wanted = "one value" if nargs is None else f"{nargs!r} values"
        return [f"found {len(values)} values ({' '.join(values)}), wanted {wanted}"]
    found = []
    for value in values:
        try:
            # --w-pack is declared with type=bool, which takes any word
            read = READERS.get(fact["type"], str)(value)
        except ValueError:
            found.append(f"found {value!r}, wanted {_article(fact['type'])}")
            continue
        if "choices" in fact and read not in fact["choices"]:
            found.append(f"found {value!r}, wanted one of {', '.join(map(str, fact['choices']))}")
    return found


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "int" else f"a {kind}"
