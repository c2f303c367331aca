"""Two experiments beside each other, on each problem set that both answered: one page a set, and its numbers as JSON.

What is compared are two models' answers, whoever gave them: of two experiments, of two stages, of a tuned model and another's
start. On the page the first is called what it is where an experiment's own page says base, the second where it says tuned.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from distillery import artefacts, config, digests, files, json_files, parquet_files, set_artefacts
from distillery.evaluate import comparison, scoring
from distillery.experiment import Config, Experiment
from distillery.problems import UsageProblem
from distillery.report import benchmarks, contents, figures, page_writing

TEMPLATE = "pair.html.j2"
BASE = ":base"


@dataclass(frozen=True)
class Side:
    """The model of an experiment that is compared: the tuned one, or with `base` the one before training."""

    name: str
    experiment: Experiment
    base: bool

    def answers(self, problems: str) -> Path:
        """Its answers to a problem set."""
        if self.base:
            return Path(artefacts.base_answers(self.experiment, problems).path)
        return Path(set_artefacts.of_set(artefacts.TUNED_ANSWERS, self.experiment, problems).path)

    def scores(self, problems: str) -> Path:
        """The verdicts on them."""
        if self.base:
            return Path(artefacts.base_scores(self.experiment, problems).path)
        return Path(set_artefacts.of_set(artefacts.TUNED_SCORES, self.experiment, problems).path)


def run(args: argparse.Namespace) -> str:
    """Write the pages that report_pair.py's flags ask for; returns what they say, in a few lines a set.

    Raises:
        UsageProblem: no such experiments, or none of their problem sets is the same.
        Problem: answers or scores that are not there or not whole, or not of the same samples.
    """
    settings = config.read(args.configfile)
    where = f"{args.configfile}"
    one, other = (_side(settings, name, where) for name in (args.experiment, args.beside))
    shared = [name for name in one.experiment.asked if name in other.experiment.asked]
    if not shared or one == other:
        raise UsageProblem(
            "nothing to compare",
            where=where,
            found=f"{one.name} asked {', '.join(one.experiment.asked)}; {other.name} asked {', '.join(other.experiment.asked)}",
            wanted="two models that answered a problem set in common",
        )
    # no experiment's name has a plus
    names = {key: side.name.replace(BASE, "+base") for key, side in (("one", one), ("other", other))}
    folder = Path(artefacts.PAIR.of(**names).folder)
    found = {problems: compare(one, other, problems, args.seed) for problems in shared}
    said = []
    for problems, (compared, rows) in found.items():
        json_file, html = (folder / f"{problems}.{ending}" for ending in ("json", "html"))
        with digests.recorded(html) as parts:
            parts.append(json_file)
            files.write_json(json_file, {"comparison": compared, "flips": rows})
            files.write_text(html, render(compared, rows, problems))
        said += [f"==== {problems}", *comparison.lines(compared), f"page: {html}"]
    return "\n".join(said)


def _side(settings: Config, name: str, where: str) -> Side:
    bare = name.removesuffix(BASE)
    if bare not in settings.experiments:
        raise UsageProblem(
            "no such experiment",
            where=where,
            found=name or "no name",
            wanted=f"one of {', '.join(settings.experiments)}, or that with {BASE} behind it",
        )
    return Side(name, settings.experiments[bare], bare != name)


def compare(one: Side, other: Side, problems: str, seed: int) -> tuple[dict[str, Any], contents.Rows]:
    """The comparison of two models on a problem set, and the problems whose outcome changed with both texts.

    Raises:
        Problem: a file that is not there or not whole, or the two did not answer the same samples.
    """
    sides = {"base": one, "tuned": other}
    scores = {
        key: list(scoring.read_jsonl(side.scores(problems), comparison.READ)) for key, side in sides.items()
    }
    compared = comparison.compare(scores["base"], scores["tuned"], seed, (one.name, other.name))
    path = Path(artefacts.PROBLEMS.at(problems=problems))
    digests.check_file(path)
    rows = [
        json_files.Record(row).at(f"{path}, row {number}")
        for number, row in enumerate(parquet_files.rows(path))
    ]
    texts = {
        key: _firsts(
            digests.json_lines(side.answers(problems), contents.without_tokens), side.answers(problems)
        )
        for key, side in sides.items()
    }
    verdicts = {
        key: _firsts(map(json_files.Record, scores[key]), side.scores(problems))
        for key, side in sides.items()
    }
    return compared, contents.flips(contents.answers(rows, texts, verdicts), compared["paired"])


def _firsts(rows: Iterable[json_files.Record], where: Path) -> json_files.Record:
    """The first sample of each problem, by its id: of several, that is shown."""
    return json_files.by("id", (row for row in rows if row["sample"] == 0), where)


def render(compared: dict[str, Any], flips: contents.Rows, problems: str) -> str:
    """The page. Every value is escaped; the figure is our own SVG."""
    svg = figures.budgets(compared["budgets"], compared["names"])
    return (
        page_writing.environment()
        .get_template(TEMPLATE)
        .render(
            comparison=compared,
            summary=comparison.summary(compared),
            problems=problems,
            chances=benchmarks.chances(compared),
            groups=benchmarks.groups(compared),
            behaviour=benchmarks.behaviour(compared),
            flips=flips,
            drawn=Markup(figures.inline(svg, "budgets", "accuracy by tokens that an answer may take")),
            colours=figures.COLOURS,
        )
    )
