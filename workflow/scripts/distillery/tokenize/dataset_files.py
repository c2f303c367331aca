"""Names of the files of a dataset prefix, and how they become visible: all at once, the manifest last.

Files are written under hidden names (`.NAME.partial`), so that a killed run leaves nothing that a reader takes for
data, and the next run writes over it. One process at a time holds a prefix. Readers glob `<prefix>_packed_*_document*`, which a leading dot escapes.
"""

from __future__ import annotations

import errno
import functools
import glob
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

from distillery import checksums, digests, files, one_writer
from distillery.problems import Problem

PACKED_STEMS = ("packed_input_ids", "packed_attention_mask", "packed_labels")
ENDING = re.compile(r"\w{1,100}\.[a-z]{1,10}")  # of the name of a dataset's file, without its prefix


def hidden(target: Path) -> Path:
    """Where a file is written before it is whole."""
    return target.with_name(f".{target.name}.partial")


def is_full(error: BaseException | None) -> TypeGuard[OSError]:
    """Whether an error says that the disk, or the user's share of it, has no room left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class DatasetFiles:
    """The files of one prefix. `stems` name its fields as they stand in file names, such as packed_labels."""

    prefix: Path
    stems: tuple[str, ...] = PACKED_STEMS

    def bin(self, stem: str) -> Path:
        return self._named(f"_{stem}_document.bin")

    def idx(self, stem: str) -> Path:
        return self._named(f"_{stem}_document.idx")

    @property
    def manifest(self) -> Path:
        return self._named("_manifest.json")

    @property
    def rows(self) -> Path:
        return self._named("_rows.parquet")

    @property
    def rejected(self) -> Path:
        return self._named("_rejected.jsonl")

    def _named(self, ending: str) -> Path:
        return self.prefix.with_name(self.prefix.name + ending)

    def _all(self) -> list[Path]:
        data = [path for stem in self.stems for path in (self.bin(stem), self.idx(stem))]
        return [*data, self.rows, self.rejected]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the prefix and make its folder; what a killed run left is removed first, what this one leaves at the end.

        Raises:
            Problem: another process writes these files; the folder cannot be made or written, has no room left, or has
                a file that training would take for a field of this.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(one_writer.of(self.prefix))
                self._check_strays()
                self._discard()
            except OSError as error:
                raise self.refused(error) from None
            stack.callback(self._discard)
            try:
                yield
            except OSError as error:
                if not is_full(error):
                    raise
                raise self.refused(error) from error

    def refused(self, error: OSError) -> Problem:
        """What to say of an error in writing these files."""
        full = is_full(error)
        return Problem(
            "the disk is full" if full else "no dataset can be written here",
            where=self.prefix.parent,
            found=error.strerror,
            wanted="12 bytes a token, and 8 more while packing"
            if full
            else "a folder that can be made and written",
            fix=("free some space, or " if full else "") + "choose another --output-prefix",
        )

    def _check_strays(self) -> None:
        """No file of another dataset lies among this one's fields.

        Raises:
            Problem: training would take a file that is not of this dataset for one of its fields.
        """
        own = {path.name for path in self._all()}
        pattern = f"{glob.escape(self.prefix.name)}_packed_*_document*"
        strays = sorted(path.name for path in self.prefix.parent.glob(pattern) if path.name not in own)
        if strays:
            raise Problem(
                "files that training would read as fields of this dataset",
                where=self.prefix.parent,
                found=" ".join(strays),
                wanted=f"nothing but {' '.join(self.stems)} beside this prefix",
                fix="remove them, or choose another --output-prefix",
            )

    def _discard(self) -> None:
        """Remove hidden files, of this run or of one that was killed."""
        for path in self._all():
            files.remove(hidden(path))

    def commit(
        self, manifest: dict[str, Any], known: Mapping[Path, int] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Sync every hidden file and rename it into place; a file that was not made this time is removed.

        So are the sample orders that MindSpeed-LLM's training keeps beside the data: they are of the old data.

        Args:
            known: CRC-32s of files that were taken while they were written.

        Returns:
            The manifest as it was written, with the CRC-32 of every file.
        """
        for path in self.prefix.parent.glob(f"{glob.escape(self.prefix.name)}_*indexmap_*.npy"):
            files.remove(path)
        made = [path for path in self._all() if hidden(path).exists()]
        for path in made:
            files.sync(hidden(path))
        files.remove(self.manifest)
        for path in self._all():
            if path in made:
                os.replace(hidden(path), path)
            else:
                files.remove(path)
        return self.describe(manifest, known)

    def describe(
        self, manifest: dict[str, Any], known: Mapping[Path, int] = MappingProxyType({})
    ) -> dict[str, Any]:
        """Write the manifest of files that are in place, see `commit`."""
        crcs = {self._ending(path): known.get(path, -1) for path in self._all() if path.is_file()}
        crcs |= {end: self._crc(end) for end, crc in crcs.items() if crc < 0}
        manifest = {**manifest, "crc32": crcs}
        digests.write_json(self.manifest, manifest)  # syncs the folder too
        return manifest

    def check(self, manifest: Mapping[str, Any], fix: str, only: Collection[Path] | None = None) -> None:
        """Hold every file that the manifest has a CRC-32 of against it; files are read side by side.

        Args:
            fix: how to make the dataset again.
            only: of its files, for whoever reads no others.

        Raises:
            Problem: a file is missing or changed since it was written; names it.
        """
        calls = [call for path, call in self.checks(manifest, fix).items() if only is None or path in only]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for _ in pool.map(lambda call: call(), calls):
                pass

    def checks(self, manifest: Mapping[str, Any], fix: str) -> dict[Path, Callable[[], None]]:
        """{file that the manifest has a CRC-32 of: what raises the Problem of `check` if it has another}."""

        def compare(ending: str, wanted: int) -> None:
            path = self._named(f"_{ending}")
            found = self._crc(ending) if path.is_file() else None
            if found != wanted:
                raise Problem(
                    "a file of the dataset is not the one that was written",
                    where=path,
                    found="no such file" if found is None else f"CRC-32 {found:08x}",
                    wanted=f"CRC-32 {wanted:08x}, as {self.manifest.name} has it",
                    fix=fix,
                )

        # a list is what version 0.1 wrote: of fields, not of files
        known = [item for item in manifest.get("crc32", {}).items() if isinstance(item[1], int)]
        if strange := [ending for ending, _ in known if not ENDING.fullmatch(ending)]:
            raise Problem(
                "a manifest lists what is no file of its dataset",
                where=f"{self.manifest}, crc32",
                found=strange[0][:100],
                wanted="ends of names, such as rows.parquet",
                fix=fix,
            )
        return {self._named(f"_{item[0]}"): functools.partial(compare, *item) for item in known}

    def _ending(self, path: Path) -> str:
        return path.name.removeprefix(f"{self.prefix.name}_")

    def _crc(self, ending: str) -> int:
        path = self._named(f"_{ending}")
        return checksums.of_file(path, 0, path.stat().st_size)
