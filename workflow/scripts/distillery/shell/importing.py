"""From scripts to a configuration's text and to findings that name script and line.

imported = run([Path("tune_x.sh"), Path("data_convert_x.sh")])
print(imported.text, end=""); print(*imported.findings, sep="\\n", file=sys.stderr)
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distillery import config
from distillery.planning import checks, finding
from distillery.planning.finding import Finding
from distillery.problems import Problem
from distillery.shell import (
    configuration,
    contradictions,
    launch_lines,
    model_flags,
    programs,
    reading,
    script_datasets,
    script_faults,
    script_models,
    stage_values,
    unkeyed,
    yaml_text,
)
from distillery.shell.draft import Draft, ordered
from distillery.shell.script_set import Scripts
from distillery.shell.shared_values import PRIORITY
from distillery.shell.stage_values import StageValues
from distillery.shell.unkeyed import Listing

MACHINES = re.compile(r"hardware\.[^.]+\.(?!npus_per_node)")


@dataclass(frozen=True)
class Imported:
    """A configuration's YAML, what was found, errors first, and what no key holds."""

    text: str
    findings: tuple[Finding, ...]
    listing: Listing

    def lines(self) -> list[str]:
        """What was found, and what no key holds, a line each."""
        return [*map(str, self.findings), *self.listing.lines()]

    def refuse(self) -> None:
        """Say that there are errors, if there are.

        Raises:
            Problem: they are counted in it.
        """
        count = sum(one.severity == "error" for one in self.findings)
        if count:
            raise Problem(
                f"the scripts have {count} error{'s' * (count > 1)}",
                fix="cure those lines in the scripts and import them again, or plan the configuration and cure it there",
            )


def run(args: argparse.Namespace) -> Imported:
    """import_scripts.py's scripts, read."""
    return together(args.scripts)


def together(paths: Sequence[Path]) -> Imported:
    """Read scripts that belong together.

    Raises:
        Problem: a file that is no text, or that bash would not read to its end; no line that starts a program of
            MindSpeed-LLM.
    """
    s = _read(paths)
    draft = configuration.build(s.chosen, s.model, s.rows, s.scripts)
    misread = [one for stage in s.stages for one in stage.misread] + draft.misread
    found = [
        *script_faults.find(s, misread),
        *model_flags.find(s),
        *contradictions.find(s),
        *launch_lines.find(s),
    ]
    for variant in _variants(s):
        said = draft if variant is s else configuration.build(variant.chosen, s.model, s.rows, s.scripts)
        found += [
            placed for one in checks.run(config.load(said.said)) if (placed := _at(one, said, variant.chosen))
        ]
    written = config.load(draft.written)
    listing = unkeyed.find(s, written)
    return Imported("\n".join(_text(s, draft, listing)) + "\n", tuple(finding.merge(found)), listing)


def _read(paths: Sequence[Path]) -> Scripts:
    names = _names(paths)
    scripts = [reading.read(names[path], _content(path)) for path in paths]
    found = [programs.find(script) for script in scripts]
    stages = [stage_values.of(one) for made, _ in found for one in made]
    others = [command for _, commands in found for command in commands]
    if not stages:
        raise Problem(
            "no line starts a program of MindSpeed-LLM",
            where=", ".join(names.values()),
            wanted=f"one of {', '.join(programs.STAGES)}",
            fix="name the scripts that do, e.g. tune_*.sh, data_convert_*.sh, ckpt_convert_*.sh, generate_*.sh",
        )
    # the trainer first, whose values count most
    stages.sort(key=lambda one: PRIORITY.index(one.stage))
    chosen: dict[str, StageValues] = {}
    for one in stages:
        chosen.setdefault(one.stage, one)
    made = [one.program for one in stages]
    scripts.sort(
        key=lambda script: min((PRIORITY.index(one.stage) for one in made if one.script is script), default=9)
    )
    model = script_models.find(made, others)
    tokenizing = chosen["tokenize"].program if "tokenize" in chosen else None
    rows = script_datasets.find(tokenizing, others, made)
    return Scripts(scripts, stages, chosen, others, model, rows)


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise Problem("no such script", where=path, fix="name scripts of MindSpeed-LLM's examples/") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise Problem("not a script", where=path, found=error, wanted="text in UTF-8") from None


def _names(paths: Sequence[Path]) -> dict[Path, str]:
    """The shortest ends of paths that tell scripts apart: lines of two places are never one."""
    names = {}
    for path in paths:
        count = 1
        while any(
            other != path and other.parts[-count:] == path.parts[-count:] for other in paths
        ) and count < len(path.parts):
            count += 1
        names[path] = "/".join(path.parts[-count:])
    return names


def _variants(s: Scripts) -> Iterator[Scripts]:
    """The scripts with each of their lines that answer as the one that does: generate_*.sh, chat_*.sh, evaluate_*.sh."""
    yield s
    for one in s.stages:
        if one.stage in ("generate", "evaluate") and s.chosen.get("generate") is not one:
            answers = replace(
                one, values={key: value for key, value in one.values.items() if key != "params_dtype"}
            )
            yield replace(s, chosen={**s.chosen, "generate": answers})


def _at(one: Finding, draft: Draft, stages: Mapping[str, StageValues]) -> Finding | None:
    """The finding with script:line in place of each key; None for one about what no script says."""
    places = {key: _places(key, draft, stages) for key in one.keys}
    # what only the machine's own settings could say has no line, and no part in what the scripts say
    unsaid = [key for key, lines in places.items() if not lines and not MACHINES.match(key)]
    found = tuple(dict.fromkeys(line for lines in places.values() for line in lines))
    return None if unsaid or not found else replace(one, keys=found, experiments=())


def _places(key: str, draft: Draft, stages: Mapping[str, StageValues]) -> list[str]:
    """Where a key was said: itself, the keys below it, the nearest one above, or its stage's command."""
    if key in draft.places:
        return [str(draft.places[key])]
    if below := [str(place) for name, place in draft.places.items() if name.startswith(f"{key}.")]:
        return below
    if above := [name for name in draft.places if key.startswith(f"{name}.")]:
        return [str(draft.places[max(above, key=len)])]
    stage = key.removeprefix(f"experiments.{draft.name}.").partition(".")[0]
    return [str(stages[stage].program.place)] if stage in stages else []


def _text(s: Scripts, draft: Draft, listing: Listing) -> Iterator[str]:
    """The configuration with what it was made from, and what it does not hold."""
    yield from _wrapped("Imported from " + ", ".join(script.name for script in s.scripts) + ".")
    yield from _wrapped(
        "Where they disagree the trainer's value stands here, with a comment that names the others."
    )
    yield ""
    yield from yaml_text.lines(ordered(draft.written), draft.comments)
    if listing.lost:
        yield ""
        yield "# What the scripts say and no key holds:"
        yield from (line for one in listing.lost for line in _wrapped(str(one), "#   "))
    if listing.derived:
        yield ""
        yield "# What needs no key: said by the same line here, derived from config.json, or a path below results/"
        for script, flags in listing.derived.items():
            yield from _wrapped(f"{script}: {', '.join(flags)}", "#   ")


def _wrapped(text: str, prefix: str = "# ") -> list[str]:
    return textwrap.wrap(
        text, yaml_text.WIDTH, initial_indent=prefix, subsequent_indent=prefix, **yaml_text.WHOLE
    )
