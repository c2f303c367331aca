"""The configuration, checked and turned into experiments; nothing else reads raw YAML.

config = read(Path("config/config.yaml"))
config.experiments["embedded"].train.layout.name   # 'fp32-tp1-pp1'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from distillery import (
    addresses,
    catalogue,
    config_faults,
    config_file,
    lineage,
    mixes,
    resolution,
    row_selection,
    schema,
    source_files,
    sweep,
    taken_names,
    teachers,
)
from distillery.experiment import Config, Dataset, Experiment, ProblemSet, Source
from distillery.hardware import Hardware
from distillery.problems import Problem, UsageProblem
from distillery.servers import BUILT_IN, Server

# keys of a problem set beside its source
HOW = ("records", "columns", "hold_out", "filter", "rows", "sample", "unscorable", "strict")


def read(path: Path) -> Config:
    """`load` of what a YAML file says.

    Raises:
        Problem: as `load`, or the file cannot be read strictly.
    """
    return load(config_file.read(path))


def experiment(loaded: Config, name: str | None, where: object) -> Experiment:
    """The experiment of a name that a command was given.

    Raises:
        UsageProblem: the configuration has none of that name.
    """
    if name not in loaded.experiments:
        wanted = ", ".join(loaded.experiments)
        raise UsageProblem("no such experiment", where=where, found=name or "no name", wanted=wanted)
    return loaded.experiments[name]


def load(raw: Mapping[str, Any]) -> Config:
    """Validate `raw` and build the selected experiments, sweeps written out.

    Raises:
        Problem: listing every fault, each with its key, what was found and what is allowed; or a dataset without files.
    """
    raw = addresses.kept(raw)
    faults = config_faults.faults(raw)
    if not faults:
        swept, members, faults = sweep.expand(raw["experiments"])
    if not faults:
        laptop = {"laptop": {}, **raw.get("hardware", {})}
        written = {**raw, "hardware": laptop, "experiments": swept}
        raw = catalogue.completed(written)
        faults = config_faults.faults(raw) if swept.keys() != members.keys() or raw != written else []
    if not faults:
        filled = schema.with_defaults(raw)
        faults = [
            *_unknown_names(filled, members),
            *_idle_words(raw),
            *mixes.faults(filled),
            *row_selection.faults(filled),
            *teachers.faults(filled),
        ]
        faults = faults or list(lineage.faults(filled))
    if faults:
        raise _invalid(faults)
    servers = {name: Server(name, **one) for name, one in filled["servers"].items()}
    hardware = {name: Hardware(name, **one) for name, one in filled["hardware"].items()}
    datasets = {name: _dataset(name, one, raw["datasets"][name]) for name, one in filled["datasets"].items()}
    problem_sets = {name: _problem_set(problems) for name, problems in filled["problem_sets"].items()}
    listed = [name for one in filled.get("run", members) for name in members.get(one, [one])]
    chosen = lineage.behind(filled, listed)
    for experiment in filled["experiments"].values():
        for part in schema.datasets(experiment["dataset"]):
            _ = datasets[part["name"]].paths  # wildcards that match nothing, a mix of formats
        for name in schema.listed(experiment["problems"]):
            _hold_files(name, problem_sets[name].source)
    config = Config(
        models={name: _source(model) for name, model in filled["models"].items()} | _stages(filled, chosen),
        datasets=datasets,
        problem_sets=problem_sets,
        experiments={
            name: resolution.experiment(
                name,
                e,
                hardware[e["hardware"]],
                raw["experiments"][name],
                servers.get(e["generate"]["engine"]),
                lineage.root(filled, name),
            )
            for name, e in filled["experiments"].items()
            if name in chosen
        },
        sweeps={name: tuple(names) for name, names in members.items() if len(names) > 1},
        offline=filled["offline"],
        servers=servers,
    )
    if faults := list(taken_names.faults(config)):
        raise _invalid(faults)
    return config


def _invalid(faults: list[str]) -> Problem:
    return Problem("\n".join(["the configuration is not valid", *(f"  {fault}" for fault in faults)]))


def _unknown_names(filled: Mapping[str, Any], members: Mapping[str, list[str]]) -> list[str]:
    """References from one part of the configuration to names that another part does not have."""
    references = [
        (f"experiments.{name}.{key}", section, named)
        for name, experiment in filled["experiments"].items()
        for key, section in [
            ("problems", "problem_sets"),
            ("hardware", "hardware"),
        ]
        for named in schema.listed(experiment[key])
    ]
    references += [
        (f"experiments.{name}.model", "models", experiment["model"])
        if (before := lineage.stage(experiment)) is None
        else (f"experiments.{name}.model.experiment", "experiments", before)
        for name, experiment in filled["experiments"].items()
    ]
    references += [
        (f"experiments.{name}.dataset", "datasets", part["name"])
        for name, experiment in filled["experiments"].items()
        for part in schema.datasets(experiment["dataset"])
    ]
    references += [
        (f"run.{i}", "experiments", name)
        for i, name in enumerate(filled.get("run", []))
        if name not in members
    ]
    references += [
        (f"experiments.{name}.generate.engine", "servers", experiment["generate"]["engine"])
        for name, experiment in filled["experiments"].items()
        if experiment["generate"]["engine"] not in BUILT_IN
    ]
    references += [
        (f"models.{name}.random.tokenizer.dataset", "datasets", model["random"]["tokenizer"]["dataset"])
        for name, model in filled["models"].items()
        if "random" in model
    ]
    references += [
        (f"datasets.{name}.source.teacher.{key}", section, teacher[key])
        for name, dataset in filled["datasets"].items()
        for teacher in [dataset["source"].get("teacher", {})]
        for key, section in [
            ("experiment", "experiments"),
            ("server", "servers"),
            ("problems", "problem_sets"),
        ]
        if key in teacher
    ]
    unasked = [
        f"experiments.{name}.generate.sets.{one}: the experiment has no such problem set, it has {', '.join(asked)}"
        for name, experiment in filled["experiments"].items()
        for asked in [schema.listed(experiment["problems"])]
        for one in experiment["generate"]["sets"]
        if one not in asked
    ]
    unasked += [
        f"servers.{name}: the name of an engine; call the server otherwise"
        for name in BUILT_IN
        if name in filled["servers"]
    ]
    return unasked + [
        f"{path}: found {name!r}, but {section} has only {', '.join(sorted(filled[section])) or 'nothing'}"
        + (
            f", and config/sources {', '.join(sorted(more))}"
            if (more := catalogue.entries().get(section))
            else ""
        )
        for path, section, name in references
        if name not in filled[section]
    ]


def _stages(filled: Mapping[str, Any], names: Iterable[str]) -> dict[str, Source]:
    """The models that these experiments start from and that others export."""
    before = (lineage.stage(filled["experiments"][name]) for name in names)
    return {
        lineage.started_from(one): Source(lineage.KIND, {lineage.KIND: one})
        for one in before
        if one is not None
    }


def _dataset(name: str, one: Mapping[str, Any], written: Mapping[str, Any]) -> Dataset:
    how = {key: value for key, value in one.items() if key != "source"}
    if "map_keys" not in written and one["handler_name"] != schema.default("datasets.*.handler_name"):
        how["map_keys"] = {}  # the handler's own names: the default is of the default handler
    return Dataset(name, _source(one["source"]), **how)


def _problem_set(said: Mapping[str, Any]) -> ProblemSet:
    source = _source({key: one for key, one in said.items() if key not in HOW})
    return ProblemSet(
        source, {} if source.kind == "generator" else {key: said[key] for key in HOW if key in said}
    )


def _idle_words(raw: Mapping[str, Any]) -> list[str]:
    """How rows become problems, said of a source whose rows are problems."""
    return [
        f"problem_sets.{name}.{key}: a generator's rows are problems as they are; leave it out"
        for name, said in raw.get("problem_sets", {}).items()
        for key in HOW
        if "generator" in said and key in said
    ]


def _hold_files(name: str, source: Source) -> None:
    """See that files of a problem set are of one format and, those of this machine, there where a wildcard looks for them.

    Raises:
        Problem: they are not, or the folder is a file.
    """
    if "files" not in source.settings:
        return
    names = source_files.written(source.settings["files"])
    if source.kind == "path":
        names = source_files.in_folder(Path(source.settings["path"]), source.settings["files"])
    said = [one for one in names if source.kind == "path" or not source_files.has_wildcard(one)]
    if said:
        source_files.one_format(said, f"problem_sets.{name}.{source.kind}.files")


def _source(one: Mapping[str, Any]) -> Source:
    ((kind, settings),) = one.items()
    return Source(kind, settings)
