"""Whether an experiment's files are of one another: each sound by itself, one may be another experiment's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distillery import artefacts, digests, files, json_files, shard_files
from distillery.convert import convert
from distillery.experiment import Config, Experiment
from distillery.problems import Problem
from distillery.verify import standing


def of(config: Config, name: str) -> list[Callable[[], None]]:
    """What raises a Problem for each digest by which one product of an experiment names another."""
    e = config.experiments[name]
    at = {"experiment": name}
    done, exported = (Path(one.at(**at)) for one in (artefacts.TRAINED, artefacts.EXPORTED))
    data = Path(artefacts.tokenized(e).path)
    converted, weights = (Path(one(e).path) for one in (artefacts.converted, artefacts.weights))
    model = Path(artefacts.rotated_model(e))
    calls = [
        lambda: _same(converted, "source_digest", convert.source_digest(model.parent), model),
        lambda: _same(exported, "source", {"mcore": convert.source_digest(done.parent)}, done),
        lambda: _same(exported, "template", json_files.read(done).get("template"), done),
        lambda: _same(done, "template", json_files.read(data).get("template"), data),
    ]
    if weights != converted:
        calls.append(
            lambda: _same(weights, "source_digest", convert.source_digest(converted.parent), converted)
        )
    for part in e.parts:
        made, shards = artefacts.tokenized(e.alone(part)), shard_files.all_shards(config, part.tokenize)
        calls.append(functools.partial(_shards, Path(made.path), [Path(one) for one in shards]))
    return calls + [functools.partial(_reported, e, problems) for problems in e.asked]


def _same(product: Path, key: str, wanted: Any, origin: Path) -> None:
    """A product's manifest names the digest that its origin has.

    Raises:
        Problem: it was made of other bytes than lie there.
    """
    if not (product.is_file() and origin.is_file()):
        return  # what is missing is said elsewhere
    found = json_files.read(product).get(key)
    if found != wanted:
        raise Problem(
            f"made of another {origin.name} than lies there",
            where=f"{product}, {key}",
            found=str(found)[:80],
            wanted=f"{str(wanted)[:80]}, as {origin} has it",
            fix=digests.again(product),
        )


def _shards(data: Path, shards: list[Path]) -> None:
    """The dataset's inputs are the shards that lie there, by their recorded digests."""
    if not data.is_file():
        return
    listed = {one["name"]: one["sha256"] for one in json_files.read(data).records("inputs")}
    for shard in shards:
        known = digests.wanted(shard)
        if known and listed.get(shard.name) != known[0]:
            raise Problem(
                "tokenized from another shard than lies there",
                where=f"{data}, inputs",
                found=listed.get(shard.name, f"no {shard.name}"),
                wanted=f"{known[0]}, as {known[1]} has it",
                fix=digests.again(data),
            )


def _reported(e: Experiment, problems: str) -> None:
    """The report of a problem set was drawn from the files that lie there.

    Raises:
        Problem: naming all that are others.
    """
    inputs = standing.of_set(e, problems)
    report = Path(inputs.pop("report"))
    inputs |= {
        "problems": artefacts.PROBLEMS.at(problems=problems),
        "data manifest": artefacts.tokenized(e).path,
        "quality": artefacts.quality(e).path,
        "done": artefacts.TRAINED.at(experiment=e.name),
        "conversion proof": artefacts.conversion_proof(e).path,
        "export proof": artefacts.EXPORT_PROOF.at(experiment=e.name),
        "plan": artefacts.PLAN.at(experiment=e.name),
        "rulegraph": artefacts.RULEGRAPH.at(experiment=e.name),
    }
    table = report.with_name("report") / "digests.json"
    if not table.is_file():
        return
    wanted = {one["role"]: one["sha256"] for one in json_files.read(table, list)}
    wrong = [
        f"{path} (sha256 {found})"
        for role, path in ((role, Path(name)) for role, name in inputs.items())
        if role in wanted and path.is_file() and (found := files.sha256(path)) != wanted[role]
    ]
    if wrong:
        raise Problem(
            "the report was drawn from other files than lie there",
            where=table,
            found=", ".join(wrong),
            wanted="the sha256 that it lists of each",
            fix=digests.again(report),
        )
