"""Experiments that start from, or learn from, what others of the same configuration made: which, in what order, and never in a circle.

    behind(filled, ["sft-2"])                # ['sft-2', 'sft-1']: sft-2 needs the weights of sft-1
    stage(filled["experiments"]["sft-2"])    # 'sft-1'
    started_from("sft-1")                    # 'sft-1+tuned', the name of that model among the others

`filled` is a whole configuration as it stands in a file, sweeps written out and defaults filled in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from distillery import schema

KIND = "experiment"  # the source of a model that another experiment exports
TUNED = "+tuned"  # ends the name of such a model: no name in a configuration has a plus


def stage(experiment: Mapping[str, Any]) -> str | None:
    """The experiment whose exported weights one starts from; None where it starts from a model's."""
    model = experiment["model"]
    return model[KIND] if isinstance(model, Mapping) else None


def started_from(experiment: str) -> str:
    """What the exported weights of an experiment are called where a model's name stands."""
    return f"{experiment}{TUNED}"


def origin(model: str) -> str | None:
    """The experiment that exports a model of this name; None where the model has a source of its own."""
    return model.removesuffix(TUNED) if model.endswith(TUNED) else None


def needs(filled: Mapping[str, Any], name: str) -> dict[str, str]:
    """{experiment: words that say how it is needed} of those that one waits for itself."""
    experiment = filled["experiments"][name]
    before = stage(experiment)
    learnt = [part["name"] for part in schema.datasets(experiment["dataset"])]
    # that of a later stage is known by the one before
    if before is None and (made := filled["models"][experiment["model"]].get("random")):
        learnt.append(made["tokenizer"]["dataset"])
    sources = [filled["datasets"][one]["source"].get("teacher", {}) for one in learnt]
    found = {one["experiment"]: "learns from" for one in sources if "experiment" in one}
    return found if before is None else {before: "starts from"} | found


def behind(filled: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Experiments with all that they need, and so on: each once, those that were asked for first."""
    found = list(dict.fromkeys(names))
    for name in found:  # grows while it is walked through
        found += [one for one in needs(filled, name) if one not in found]
    return found


def root(filled: Mapping[str, Any], name: str) -> str:
    """The model that the first stage behind an experiment starts from: later ones have its tokenizer and its sizes."""
    while (before := stage(filled["experiments"][name])) is not None:
        name = before
    return filled["experiments"][name]["model"]


def faults(filled: Mapping[str, Any]) -> Iterator[str]:
    """A line for each circle of experiments, and for each model, dataset and problem set that is a result under a path."""
    told: set[frozenset[str]] = set()
    for name in filled["experiments"]:
        circle = _circle(filled, name)
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            way = ", which ".join(
                f"{needs(filled, one)[other]} {other}" for one, other in zip(circle, circle[1:], strict=False)
            )
            yield f"experiments.{name}: {way}: a circle, none of them could run first; let one start from a model, or learn from other data"
    for kind in ("models", "datasets", "problem_sets"):
        for name, one in filled[kind].items():
            at, source = (f"{name}.source", one["source"]) if kind == "datasets" else (name, one)
            if "path" in source and (made := _below_results(kind, Path(source["path"]["path"]))):
                yield f"{kind}.{at}.path.path: found {source['path']['path']}, which {made}"


def _circle(filled: Mapping[str, Any], start: str) -> list[str]:
    """The shortest way from an experiment back to it, both ends named; empty where there is none."""
    ways, seen = [[start]], set()
    for way in ways:  # grows while it is walked through
        for one in needs(filled, way[-1]):
            if one == start:
                return [*way, start]
            if one not in seen:
                seen.add(one)
                ways.append([*way, one])
    return []


def _below_results(kind: str, path: Path) -> str | None:
    """What to say of a folder that the workflow itself makes; None of any other.

    Args:
        kind: of what lies there, as the configuration calls it.
    """
    results = Path("results").resolve()
    if not path.resolve().is_relative_to(results):
        return None
    parts = path.resolve().relative_to(results).parts
    name = parts[1] if parts[:1] == ("experiments",) and len(parts) > 1 else "NAME"
    cure = {
        "models": f"write model: {{experiment: {name}}} in the experiment that starts from it",
        "datasets": f"write source: {{teacher: {{experiment: {name}, ...}}}}, or copy what shall not change to a folder elsewhere",
    }.get(kind, "copy what shall not change to a folder elsewhere")
    return f"an experiment makes, so that nobody would wait for it; {cure}"
