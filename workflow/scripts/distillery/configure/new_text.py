"""The text of a first configuration, with a comment where a person decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import files, source_files
from distillery.configure.new_problems import Asked
from distillery.provenance import canonical
from distillery.terminal_text import printable
from distillery.tokenize.readers import Source
from distillery.tokenize.recognition import Recognised
from distillery.tokenize.sharegpt import REASONING

STEP = 64  # tokens: a suggested length is a multiple of it
EPOCHS, BATCH, SAVES, WARM_UP = 3, 8, 500, 0.03
STAND_IN = {"seed": 77000, "rows": 20}
TOY = Path(__file__).resolve().parents[4] / "config/examples/data/model"


@dataclass(frozen=True)
class Draft:
    """What was found for a configuration.

    Attributes:
        data, problems: files or folders; `problems` None where there are none.
        sources: the files of `data`; `asked_of` those of `problems`.
        found: how rows become conversations.
        lengths: tokens of the first rows, sorted.
        asked: of `problems`, or held back from `data`; None for the stand-in.
        longest: tokens of the longest question, rendered.
        context: tokens that the model knows.
    """

    name: str
    data: Path
    sources: list[Source]
    found: Recognised
    model: Path
    prompt_type: str
    lengths: list[int]
    problems: Path | None
    asked_of: list[Source]
    asked: Asked | None
    longest: int
    context: int


def of(draft: Draft) -> str:
    """The configuration as YAML."""
    name, found, lengths = draft.name, draft.found, draft.lengths
    p50, p99 = (lengths[min(len(lengths) - 1, int(share * len(lengths)))] for share in (0.5, 0.99))
    wanted = -(-max(p99 + 1, 2 * draft.longest) // STEP) * STEP
    length = min(wanted, draft.context)
    cut = "" if length == wanted else f"; the model's context has no more than {draft.context}"
    held = draft.asked.how.get("hold_out") if draft.asked else None
    rows = sum(source.rows() for source in draft.sources)
    learnt = rows - (rows // held["one_in"] if held else 0)
    steps = max(2, math.ceil(EPOCHS * learnt / BATCH))
    more = [f"    handler_name: {found.handler_name}", f"    map_keys: {canonical(found.map_keys)}"]
    if _has_thoughts(draft.sources[0], found):
        more.append("    thoughts: join # reasoning_content goes before its answer")
    if held:
        more.append(f"    hold_out: {canonical(held)} # not learnt: {name}-problems asks them")
    toy = " # a toy, to try things with: give MODEL=folder, or write your model's here" * (draft.model == TOY)
    first = draft.sources[0]
    form = source_files.one_format([first.path.name], str(first.path))
    # a column's name may hold a line's end
    head = printable(f"{rows} rows of {form}, columns {', '.join(first.columns())}; told by {found.said}")
    return f"""# {name}: {head}
models:
  {name}-model: {{path: {{path: {canonical(files.from_here(draft.model))}}}}}{toy}
datasets:
  {name}-rows:
    source: {{path: {_place(draft.data, draft.sources)}}}
{chr(10).join(more)}
problem_sets:
{_problems(draft)}
experiments:
  {name}:
    model: {name}-model
    dataset: {name}-rows
    problems: {name}-problems
    prompt_type: {draft.prompt_type}
    seq_length: {length} # of {len(lengths)} rows half have {p50} tokens or fewer, 99 % have {p99} or fewer{cut}
    train:
      train_iters: {steps} # of {BATCH} rows: {EPOCHS} times all {learnt}
      global_batch_size: {BATCH}
      lr: 1.0e-5
      lr_warmup_fraction: {WARM_UP if steps * WARM_UP >= 1 else 0}
      save_interval: {min(SAVES, steps // 2)}
    generate: {{max_new_tokens: {max(1, length - draft.longest)}}} # the longest question has {draft.longest} tokens
"""


def _problems(draft: Draft) -> str:
    if draft.asked is None or draft.problems is None:
        stand_in = canonical(STAND_IN)
        return (
            f"  {draft.name}-problems: {{generator: {stand_in}}} # sums: a stand-in, put your problems here"
        )
    lines = [f"  {draft.name}-problems:", f"    path: {_place(draft.problems, draft.asked_of)}"]
    remarks = {"rows": " # at most"}
    lines += [
        f"    {key}: {canonical(value)}{remarks.get(key, '')}" for key, value in draft.asked.how.items()
    ]
    return "\n".join(lines)


def _place(data: Path, sources: list[Source]) -> str:
    folder, chosen = (
        (data.parent, data.name) if data.is_file() else (data, [one.path.name for one in sources])
    )
    return f"{{path: {canonical(files.from_here(folder))}, files: {canonical(chosen)}}}"


def _has_thoughts(source: Source, found: Recognised) -> bool:
    if "messages" not in found.map_keys:
        return False
    rows: list[Mapping[str, Any]] = next(source.blocks([found.map_keys["messages"]]), [])
    return any(turn.get(REASONING) for row in rows for turn in row[found.map_keys["messages"]] or [])
