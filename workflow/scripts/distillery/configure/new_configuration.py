"""A first configuration for rows of one's own, written from the file itself: `make new`."""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery import config, files, json_files, schema
from distillery.configure import new_problems, new_text
from distillery.configure.new_problems import Asked
from distillery.configure.new_text import STAND_IN, TOY, Draft
from distillery.fetch import synthetic
from distillery.planning import checks, planned_jobs
from distillery.problems import Problem, UsageProblem
from distillery.tokenize import (
    handlers,
    hub_template,
    readers,
    recognition,
    rendered_rows,
    rendering,
    tokenizer,
)
from distillery.tokenize.conversation import Rejected
from distillery.tokenize.readers import Source
from distillery.tokenize.recognition import Recognised
from distillery.tokenize.rendering import Renderer
from distillery.tokenize.sharegpt import JOIN

SAMPLE = 1000  # rows that are measured
PLAN = "make plan CONFIG="
SNAKEFILE = Path(__file__).resolve().parents[4] / "Snakefile"
PROBE = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
# of the families that a plan knows; a tokenizer is read anew for each, so they are few
TRIED = ("qwen", "llama3", "deepseek3", "chatml")


def run(args: argparse.Namespace) -> Iterator[str]:
    """Write the configuration that plan_new.py's flags ask for, plan it, and say what was found and what comes next.

    Raises:
        UsageProblem, Problem: as `written`.
    """
    output = args.output or Path("config") / f"{args.name}.yaml"
    yield from written(args, output)
    jobs = planned_jobs.dry_run(SNAKEFILE, [output], everything=True)
    yield f"planned: {len(jobs)} jobs; their memory, time, disk and commands: {PLAN}{output}"
    yield f"next: make run CONFIG={output}"


def written(args: argparse.Namespace, output: Path) -> Iterator[str]:
    """Write the configuration and hold it against the checks of a plan; says what was found.

    Raises:
        UsageProblem: no name for an experiment, or a configuration of this name is there.
        Problem: rows that no handler recognises, problems without answers, a model that cannot be read, or errors of the plan,
            for which the file stays to be edited.
    """
    wanted = schema.schema()["$defs"]["name"]
    if not re.fullmatch(wanted["pattern"], args.name):
        raise UsageProblem("no name", where="--name", found=args.name, wanted=wanted["title"])
    if output.exists():
        raise UsageProblem(
            "this configuration is there",
            where=output,
            fix=f"choose another NAME, or remove it; to plan it: {PLAN}{output}",
        )
    sources = readers.sources(args.data)
    found = recognition.of(sources[0])
    model = args.model or TOY
    renderer = rendering.load(model, _prompt_type(model))
    lengths, rejected = _lengths(sources, found, renderer)
    if not lengths:
        raise Problem(
            "none of the first rows can be used",
            where=args.data,
            found=f"{'; '.join(rejected.values())}; read by {found.said}",
            wanted="texts to learn, or turns that begin with a question and end with an answer",
            fix="write handler_name and map_keys by hand, as config/examples does",
        )
    problem_sources = readers.sources(args.problems) if args.problems else sources
    rows, name = _first(problem_sources[0]), f"{args.name}-problems"
    asked, why = None, "the rows hold no answers that can be compared"
    if args.problems:
        asked = new_problems.of_file(name, problem_sources, rows)
    else:
        try:
            asked = new_problems.held_back(name, problem_sources, rows)
        except Problem as problem:
            why = f"{problem.what} ({problem.where}: {problem.found})"
    texts = asked.problems if asked else [row["problem"] for row in synthetic.problem_rows(**STAND_IN)]
    draft = Draft(
        name=args.name,
        data=args.data,
        sources=sources,
        found=found,
        model=model,
        prompt_type=renderer.template.name,
        lengths=lengths,
        problems=args.problems or (args.data if asked else None),
        asked_of=problem_sources,
        asked=asked,
        longest=max(len(renderer.prompt([{"role": "user", "content": text}])) for text in texts),
        context=json_files.read(model / "config.json").get("max_position_embeddings", 1 << 20),
    )
    files.write_text(output, new_text.of(draft))
    try:
        loaded = config.read(output)
    except Problem:
        output.unlink()
        raise
    yield f"{output}: {found.handler_name}, told by {found.said}"
    yield f"problems: {_said(args, asked, why)}"
    if rejected:
        yield f"of the first {SAMPLE} rows some cannot be used: {'; '.join(rejected.values())}"
    findings = checks.run(loaded)
    yield from map(str, findings)
    yield from rendered_rows.lines(rendered_rows.of(loaded))
    if errors := sum(one.severity == "error" for one in findings):
        raise Problem(
            f"the plan has {errors} errors", where=output, fix=f"cure those lines, then {PLAN}{output}"
        )


def _said(args: argparse.Namespace, asked: Asked | None, why: str) -> str:
    if asked is None:
        return f"sums, a stand-in: {why}"
    if args.problems:
        return f"{len(asked.problems)} of {args.problems}"
    return f"{len(asked.problems)} rows are held back, to be asked and not learnt"


def _first(source: Source) -> list[dict[str, Any]]:
    rows = itertools.chain.from_iterable(source.blocks(source.columns()))
    return list(itertools.islice(rows, SAMPLE))


def _prompt_type(model: Path) -> str:
    """The prompt type that renders as the model's own chat template does, else the first whose tokens it has."""
    fitting = []
    for name in TRIED:
        try:
            renderer = rendering.load(model, name)
        except Problem:
            continue
        if not renderer.split_markers():
            fitting.append(renderer)
    if not fitting:
        raise Problem(
            "no prompt type is made of this tokenizer's tokens",
            where=model,
            wanted=f"the markers of one of {', '.join(TRIED)}",
            fix="choose a chat model's tokenizer, or write prompt_type by hand",
        )
    try:
        own = hub_template.HubRenderer(tokenizer.load(model)).prompt(PROBE)
    except Problem:
        return fitting[0].template.name
    return next((one for one in fitting if one.prompt(PROBE) == own), fitting[0]).template.name


def _lengths(
    sources: list[Source], found: Recognised, renderer: Renderer
) -> tuple[list[int], dict[str, str]]:
    """Tokens of the first rows, sorted, and {why some of them cannot be used: that, the first such row and what it holds}."""
    reader = handlers.mapped(found.handler_name, found.map_keys, JOIN)
    columns = reader.columns()
    lengths: list[int] = []
    rejected: dict[str, str] = {}
    rows = (
        (f"{source.path}, row {number}", row)
        for source in sources
        for number, row in enumerate(itertools.chain.from_iterable(source.blocks(source.check(columns))))
    )
    for place, row in itertools.islice(rows, SAMPLE):
        try:
            pieces = [*itertools.chain.from_iterable(renderer.messages(reader.convert(row)))]
        except Rejected as error:
            said = f"{place}: {error.reason}" + (f" ({error.detail})" if error.detail else "")
            rejected.setdefault(error.reason, said)
            continue
        lengths.append(
            sum(1 if isinstance(one, int) else len(renderer.tokenizer.encode(one)) for one in pieces)
        )
    return sorted(lengths), rejected
