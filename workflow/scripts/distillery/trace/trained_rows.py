"""Which rows a training saw at which step: its order, drawn again from the settings that its key holds.

    seen = of(experiment)
    seen.rows(0, 3)        # [{"step": 1, "shard": "train-0.parquet", "row": 17, "uuid": ...}, ...] of its first three samples
    seen.uses("uuid")      # where that row is, and the steps that it was trained at

It is the engine's own order (`engine.mixture.course`), not a record of it: a hundred thousand rows take a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from distillery import artefacts, digests, parquet_files, provenance
from distillery.engine.mixture import Course, Mixture, course
from distillery.experiment import Experiment
from distillery.problems import Problem
from distillery.tokenize.dataset_files import DatasetFiles

COLUMNS = ["shard", "row", "uuid"]


@dataclass(frozen=True)
class Dataset:
    """A tokenized dataset of a training: its manifest and where its rows' names are."""

    name: str
    path: Path
    manifest: dict[str, Any]

    @property
    def origins(self) -> pa.Table:
        """Shard, row and uuid of each document; lists of them where rows are packed."""
        prefix = self.path.with_name(self.path.name.removesuffix(artefacts.TOKENIZED_ENDING))
        return pa.Table.from_batches(parquet_files.batches(DatasetFiles(prefix).rows, COLUMNS))

    @property
    def shards(self) -> list[dict[str, Any]]:
        """Name, rows and sha256 of each shard, as they were tokenized."""
        return self.manifest["inputs"]


@dataclass(frozen=True)
class Seen:
    """A finished training: `done` and `key` as it left them, its datasets, and its order."""

    experiment: Experiment
    done: dict[str, Any]
    key: dict[str, Any]
    datasets: tuple[Dataset, ...]
    course: Course

    @property
    def batch(self) -> int:
        """Samples of a step."""
        return self.key["settings"]["global_batch_size"]

    @property
    def samples(self) -> np.ndarray:
        """Documents [samples] up to the step of the weights, in their order."""
        return self.course.sequence[: self.done["iteration"] * self.batch]

    @cached_property
    def origins(self) -> pa.Table:
        """Those of all datasets, one dataset after the other, as documents are counted."""
        return pa.concat_tables(one.origins for one in self.datasets)

    @cached_property
    def _ends(self) -> np.ndarray:
        return np.cumsum([one.manifest["documents"] for one in self.datasets])

    def _dataset(self, document: int) -> str:
        return self.datasets[int(np.searchsorted(self._ends, document, side="right"))].name

    def rows(self, first: int, last: int) -> list[dict[str, Any]]:
        """The rows of these samples: `step`, `dataset`, `shard`, `row` and `uuid`; of a packed one each of its rows."""
        documents = self.samples[first:last]
        return [
            {"step": (first + place) // self.batch + 1, "dataset": self._dataset(document), **one}
            for place, document in enumerate(documents.tolist())
            for one in self._named(document)
        ]

    def _named(self, document: int) -> list[dict[str, Any]]:
        """The rows of a document: one, or those that were packed into it."""
        origin = {name: self.origins[name][document].as_py() for name in COLUMNS}
        if not isinstance(origin["shard"], list):
            return [origin]
        return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*origin.values(), strict=True)]

    def uses(self, uuid: str) -> list[dict[str, Any]]:
        """Each row of this uuid: `dataset`, `shard`, `row`, the `steps` that it was trained at, and whether it was `held_out`."""
        column = self.origins["uuid"]
        named = column.to_pylist()  # to_numpy of texts would import pandas, half a second
        if pa.types.is_list(column.type):
            mine = [place for place, uuids in enumerate(named) if uuid in uuids]
        else:
            mine = [place for place, one in enumerate(named) if one == uuid]
        found = []
        for document in mine:
            steps = (np.flatnonzero(self.samples == document) // self.batch + 1).tolist()
            more = {"steps": steps, "held_out": any(document in part for part in self.course.held_out)}
            found += [
                {"dataset": self._dataset(document), **one, **more}
                for one in self._named(document)
                if one["uuid"] == uuid
            ]
        return found


def of(experiment: Experiment) -> Seen:
    """The finished training of an experiment by the built-in engine.

    Raises:
        Problem: it has not been trained, by another engine, or on other data than lie there now.
    """
    place = Path(artefacts.TRAINED.at(experiment=experiment.name))
    if not place.is_file():
        raise Problem(
            "the experiment has not been trained", where=place, found="no such file", fix=digests.again(place)
        )
    done = digests.read_json(place)
    kept = (place.parent / done["checkpoint"]).parent / "key.json"
    if not kept.is_file():
        raise Problem(
            "the training left no key, so nothing tells the order of its rows",
            where=kept,
            found="no such file",
            wanted="a training by the built-in engine",
        )
    key = digests.read_json(kept)
    datasets = tuple(_dataset(experiment, number) for number in range(len(experiment.parts)))
    mixture = _mixture(experiment, datasets)
    _check(key, mixture, datasets, place)
    documents = range(datasets[0].manifest["documents"])
    return Seen(experiment, done, key, datasets, course(documents, mixture, drawing(key["settings"])))


def drawing(settings: dict[str, Any]) -> SimpleNamespace:
    """What of a key's settings decides which rows are taken when, as `course` reads it."""
    return SimpleNamespace(**{**settings, "split": tuple(settings["split"])})


def _dataset(experiment: Experiment, number: int) -> Dataset:
    path = Path(artefacts.tokenized(experiment.alone(experiment.parts[number])).path)
    if not path.is_file():
        raise Problem(
            "the tokenized data are not there", where=path, found="no such file", fix=digests.again(path)
        )
    return Dataset(experiment.parts[number].dataset, path, digests.read_json(path))


def _mixture(experiment: Experiment, datasets: tuple[Dataset, ...]) -> Mixture | None:
    """As `train.mixed_data.read` makes it of the training's flags."""
    if len(datasets) == 1:
        return None
    weights, epochs = ([getattr(part, key) for part in experiment.parts] for key in ("weight", "epochs"))
    return Mixture(
        tuple(one.name for one in datasets),
        tuple(one.manifest["documents"] for one in datasets),
        None if epochs[0] is not None else tuple(map(float, weights)),
        tuple(map(float, epochs)) if epochs[0] is not None else None,
    )


def _check(key: dict[str, Any], mixture: Mixture | None, datasets: tuple[Dataset, ...], place: Path) -> None:
    """The training's key names the data that lie there.

    Raises:
        Problem: the data were made again since, of other rows.
    """
    each = [provenance.digest(one.manifest) for one in datasets]
    found = each[0] if mixture is None else provenance.digest([(mixture.weights, mixture.epochs), each])
    if key["data"] != found:
        raise Problem(
            "trained on other data than lie there now",
            where=", ".join(str(one.path) for one in datasets),
            found=found,
            wanted=f"{key['data']}, as the training's key.json has it",
            fix=digests.again(place),
        )
