"""A first configuration for rows of one's own, written from the file itself: `make new`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery import config, files, json_files
from distillery.planning import checks
from distillery.problems import Problem, UsageProblem
from distillery.provenance import canonical
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
from distillery.tokenize.sharegpt import JOIN, REASONING

SAMPLE = 1000  # rows that are measured
STEP = 64  # tokens: a suggested length is a multiple of it
TOY = Path(__file__).resolve().parents[4] / "config/examples/data/model"
PROBE = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
# of the families that a plan knows; a tokenizer is read anew for each, so they are few
TRIED = ("qwen", "llama3", "deepseek3", "chatml")


def run(args: argparse.Namespace) -> Iterator[str]:
    """Write the configuration that plan_new.py's flags ask for, check it, and say what was found and what comes next.

    Raises:
        UsageProblem: a configuration of this name is there.
        Problem: rows that no handler recognises, a model that cannot be read, or errors of the plan.
    """
    output = args.output or Path("config") / f"{args.name}.yaml"
    if output.exists():
        raise UsageProblem(
            "this configuration is there", where=output, fix="choose another NAME, or remove it"
        )
    sources = readers.sources(args.data)
    found = recognition.of(sources[0])
    model = args.model or TOY
    renderer = rendering.load(model, _prompt_type(model))
    lengths, rejected = _lengths(sources, found, renderer)
    if not lengths:
        raise Problem(
            "none of the first rows can be used",
            where=sources[0].path,
            found="; ".join(sorted(rejected)),
            fix="write handler_name and map_keys by hand, as config/examples does",
        )
    context = json_files.read(model / "config.json").get("max_position_embeddings", 1 << 20)
    text = _text(args.name, args.data, sources, found, model, renderer, lengths, context)
    files.write_text(output, text)
    try:
        loaded = config.read(output)
        findings = checks.run(loaded)
    except Problem:
        output.unlink()
        raise
    yield f"{output}: {found.handler_name}, told by {found.said}"
    yield from map(str, findings)
    yield from rendered_rows.lines(rendered_rows.of(loaded))
    if rejected:
        yield f"of the first {SAMPLE} rows some cannot be used: {'; '.join(sorted(rejected))}"
    yield f"next: make plan CONFIG={output}, then make run CONFIG={output}"


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


def _lengths(sources: list[Source], found: Recognised, renderer: Renderer) -> tuple[list[int], set[str]]:
    """Tokens of the first rows, sorted, and why some of them cannot be used."""
    reader = handlers.mapped(found.handler_name, found.map_keys, JOIN)
    columns = reader.columns()
    lengths, rejected = [], set()
    rows = itertools.chain.from_iterable(
        block for source in sources for block in source.blocks(source.check(columns))
    )
    for row in itertools.islice(rows, SAMPLE):
        try:
            pieces = [*itertools.chain.from_iterable(renderer.messages(reader.convert(row)))]
        except Rejected as error:
            rejected.add(error.reason)
            continue
        lengths.append(
            sum(1 if isinstance(one, int) else len(renderer.tokenizer.encode(one)) for one in pieces)
        )
    return sorted(lengths), rejected


def _text(
    name: str,
    data: Path,
    sources: list[Source],
    found: Recognised,
    model: Path,
    renderer: Renderer,
    lengths: list[int],
    context: int,
) -> str:
    """The configuration, with a comment where a person decides."""
    p50, p99 = (lengths[min(len(lengths) - 1, int(share * len(lengths)))] for share in (0.5, 0.99))
    wanted = -(-(p99 + 1) // STEP) * STEP
    length = min(wanted, context)
    cut = "" if length == wanted else f"; the model's context has no more than {context}"
    folder, chosen = (
        (data.parent, data.name) if data.is_file() else (data, [one.path.name for one in sources])
    )
    thoughts = (
        "\n    thoughts: join # reasoning_content goes before its answer"
        if _has_thoughts(sources[0], found)
        else ""
    )
    toy = (
        " # a toy, to try things with: give MODEL=folder, or write your model's here" if model == TOY else ""
    )
    return f"""# {name}: {found.handler_name}, told by {found.said}
models:
  {name}-model: {{path: {{path: {canonical(files.from_here(model))}}}}}{toy}
datasets:
  {name}-rows:
    source: {{path: {{path: {canonical(files.from_here(folder))}, files: {canonical(chosen)}}}}}
    handler_name: {found.handler_name}
    map_keys: {canonical(found.map_keys)}{thoughts}
problem_sets:
  {name}-problems: {{generator: {{seed: 77000, rows: 20}}}} # sums: a stand-in, put your problems here
experiments:
  {name}:
    model: {name}-model
    dataset: {name}-rows
    problems: {name}-problems
    prompt_type: {renderer.template.name}
    seq_length: {length} # of {len(lengths)} rows half have {p50} tokens or fewer, 99 % have {p99} or fewer{cut}
    train:
      train_iters: 100 # steps of global_batch_size rows: the plan says how many epochs that is
      global_batch_size: 8
      lr: 1.0e-5
      save_interval: 50
    generate: {{max_new_tokens: {max(1, length // 2)}}}
"""


def _has_thoughts(source: Source, found: Recognised) -> bool:
    if "messages" not in found.map_keys:
        return False
    rows: list[Mapping[str, Any]] = next(source.blocks([found.map_keys["messages"]]), [])
    return any(turn.get(REASONING) for row in rows for turn in row[found.map_keys["messages"]] or [])
