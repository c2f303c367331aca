"""Sources that lie on this machine: whether they are there, old results or not.

Snakemake does not ask: where what a source became is still below resources/, it takes that and says nothing.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from distillery import source_files
from distillery.experiment import Config, Experiment, Source
from distillery.planning.finding import Finding, error


def absent(config: Config, experiment: Experiment) -> Iterator[Finding]:
    """Each folder, file or lock that a source of the experiment names and that is not there."""
    for key, source, missing in _named(config, experiment):
        if missing:
            cure = "make lock writes it" if key.endswith(".lock") else "correct it, or bring the files back"
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            yield error(
                "absent-source",
                [key],
                f"no {missing[0]}{more}",
                "a source that is there: what earlier runs made of it is not used instead",
                f"{cure} ({source.kind})",
            )


def _named(config: Config, experiment: Experiment) -> Iterator[tuple[str, Source, list[str]]]:
    """(key, source, what is not there) of each source with a place on this machine."""
    model = config.models[experiment.model]
    datasets = [experiment.dataset]
    if model.kind == "random":  # its tokenizer is trained on one, perhaps on another
        datasets = list(dict.fromkeys([*datasets, model.settings["tokenizer"]["dataset"]]))
    yield from _of(f"models.{experiment.model}", model, ("config.json", "*.safetensors"))
    for name in datasets:
        source = config.datasets[name].source
        shards = tuple(config.datasets[name].paths.values()) if source.kind == "path" else ()
        yield from _of(f"datasets.{name}.source", source, shards)
    for name in experiment.asked:
        source = config.problem_sets[name].source
        files = source_files.written(source.settings["files"]) if source.kind == "path" else []
        yield from _of(f"problem_sets.{name}", source, files)


def _of(key: str, source: Source, files: Sequence[str]) -> Iterator[tuple[str, Source, list[str]]]:
    if source.kind == "path":
        folder = Path(source.settings["path"])
        gone = [str(folder / name) for name in files if not _is_there(folder, name)]
        yield f"{key}.path.path", source, gone if folder.is_dir() else [str(folder)]
    if lock := source.settings.get("lock"):
        yield f"{key}.{source.kind}.lock", source, [] if Path(lock).is_file() else [lock]


def _is_there(folder: Path, name: str) -> bool:
    found = glob.iglob(name, root_dir=folder, recursive=True)
    return (folder / name).is_file() or any((folder / one).is_file() for one in found)
