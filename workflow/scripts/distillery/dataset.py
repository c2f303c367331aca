"""Where models, datasets and problem sets come from, and the shards of a dataset: the files of its source, in sorted order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distillery import json_files, schema, shard_names, source_files
from distillery.problems import Problem

AUTO = "auto"  # the handler that the first rows tell
PLAIN_TEXT = "GeneralPretrainHandler"  # its rows are texts that are learnt whole


@dataclass(frozen=True)
class Source:
    """Where a model, dataset or problem set comes from: a kind (`generator`, `wheel`, ...) and its settings."""

    kind: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Dataset:
    """A dataset of the configuration: where its rows come from and how they are read."""

    name: str
    source: Source
    handler_name: str
    map_keys: Mapping[str, Any]
    shards_per_job: int = schema.default("datasets.*.shards_per_job")
    jobs_per_shard: int = schema.default("datasets.*.jobs_per_shard")
    thoughts: str = schema.default("datasets.*.thoughts")
    hold_out: Mapping[str, Any] | None = None
    license: str | None = None

    def batches(self, count: int | None = None, divided: bool = False) -> dict[str, tuple[str, ...]]:
        """Shards that one job reads, by the batch's name, in order.

        Args:
            count: only so many of the first shards.
            divided: with a batch for each span of rows of a shard.
        """
        spans = self.jobs_per_shard if divided else 1
        if count in (None, len(self.shards)) and spans == 1:
            return self._batches
        return shard_names.batches(self.shards[:count], self.shards_per_job, spans)

    def batch(self, name: str) -> tuple[str, ...]:
        """The shards of a batch, or the one shard that has this name as a batch of its own, or that a span is of.

        Raises:
            KeyError: no such batch.
        """
        name = shard_names.undivided(name)
        if name in self._singles:
            return (self._singles[name],)
        if name in self._batches:
            return self._batches[name]
        return self._shortened[name]

    @property
    def is_auto(self) -> bool:
        """Whether the first rows say which handler reads them."""
        return self.handler_name == AUTO

    @property
    def is_text(self) -> bool:
        """Whether rows are texts that are learnt whole."""
        return self.handler_name == PLAIN_TEXT

    @cached_property
    def shards(self) -> tuple[str, ...]:
        """Names that the shards have here, in order."""
        return tuple(self.paths)

    @cached_property
    def paths(self) -> dict[str, str]:
        """The files of the source in sorted order: name here, path there.

        Raises:
            Problem: `files` selects nothing, or files of several formats.
        """
        settings = self.source.settings
        if "shards" in settings:
            total = settings["shards"]
            names = [f"train-{index:05d}-of-{total:05d}.parquet" for index in range(total)]
        elif self.source.kind == "path":
            names = source_files.in_folder(Path(settings["path"]), settings["files"])
        else:
            names = self._elsewhere(settings)
        source_files.one_format(names, f"datasets.{self.name}.source.{self.source.kind}.files")
        return shard_names.local_names(names)

    def _elsewhere(self, settings: Mapping[str, Any]) -> list[str]:
        """Files that are not here: as they are written, wildcards by what the source's lock lists."""
        names = sorted(set(source_files.written(settings["files"])))
        if any(map(source_files.has_wildcard, names)):
            where = f"datasets.{self.name}.source.{self.source.kind}.files"
            if "lock" not in settings:
                raise Problem(
                    "wildcards of files that only their source can list",
                    where=where,
                    found=settings["files"],
                    wanted="names or ranges such as {00000..00009}, or a lock",
                    fix="write the names out, or name a lock beside them (`make lock` writes it)",
                )
            listed = [one["name"] for one in json_files.read(Path(settings["lock"]))["files"]]
            return source_files.chosen(listed, settings["files"], where)
        return names

    @cached_property
    def _batches(self) -> dict[str, tuple[str, ...]]:
        return shard_names.batches(self.shards, self.shards_per_job)

    @cached_property
    def _shortened(self) -> dict[str, tuple[str, ...]]:
        return shard_names.shortened(self.shards, self.shards_per_job)

    @cached_property
    def alone(self) -> dict[str, str]:
        """The name of each shard as a batch of its own."""
        return {shard: batch for batch, shard in self._singles.items()}

    @cached_property
    def _singles(self) -> dict[str, str]:
        return shard_names.singles(self.shards)
