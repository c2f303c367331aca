"""Every file that experiments stand on against the digest that was recorded of it, and of one another; nothing is run.

At the disk's speed: each file is read once, many side by side. All faults are listed, not the first alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from distillery import artefacts, digests, files, kept_runs, provenance
from distillery.convert import stored_bytes
from distillery.convert.weight_sources import open_mcore
from distillery.experiment import Config
from distillery.problems import Problem
from distillery.tokenize.dataset_files import PACKED_STEMS, DatasetFiles
from distillery.verify import presence, related_digests, standing
from distillery.verify.standing import Product

Call = Callable[[], None]
SHOWN = "\n          "


@dataclass(frozen=True)
class Checked:
    """What was compared."""

    experiments: int
    files: int
    bytes: int
    unknown: tuple[Path, ...]  # files of which no digest was recorded

    def __str__(self) -> str:
        text = f"{self.files} files, {self.bytes / 1e6:,.1f} MB, of {self.experiments} experiments are those that were written"
        if self.unknown:
            shown = ", ".join(map(str, self.unknown[:3]))
            text += f"; of {len(self.unknown)} files no digest is recorded ({shown}): whether they are, nothing tells"
        return text


def run(config: Config) -> Checked:
    """Check all selected experiments.

    Raises:
        Problem: with every fault: file, tensor or record, found, wanted, and the command that makes it again.
    """
    products = dict.fromkeys(one for name in config.experiments for one in standing.of(config, name))
    faults: list[str] = []
    calls: list[Call] = []
    compared: dict[Path, None] = {}
    unknown: list[Path] = []
    for product in products:
        if not product.path.is_file():
            faults.append(f"{product.path}: no such file; {digests.again(product.path)}")
            continue
        gone = list(presence.of_product(product))
        faults += [f"{one}; {digests.again(product.path)}" for one in gone]
        try:
            found, read = _checks(product, {one.file for one in gone})
        except (Problem, OSError) as fault:
            faults += [] if gone else [one_line(fault)]
            continue
        calls += found
        compared |= dict.fromkeys(read)
        if product.kind == "file" and not digests.wanted(product.path):
            unknown.append(product.path)
    for name in config.experiments:
        calls += related_digests.of(config, name)
        for problems in config.experiments[name].asked:
            page = Path(standing.of_set(config.experiments[name], problems)["report"])
            kept = dict(kept_runs.checks(page.parent))
            calls += kept.values()
            compared |= dict.fromkeys(kept)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        faults += filter(None, pool.map(_fault, calls))
    if faults:
        raise Problem(
            f"{len(faults)} faults in what {len(config.experiments)} experiments stand on",
            found=SHOWN.join(dict.fromkeys(faults)),
            wanted="the bytes that were written",
            fix="the command beside each makes it again, and what follows from it",
        )
    return Checked(len(config.experiments), len(compared), sum(map(_size, compared)), tuple(unknown))


def one_line(fault: Exception) -> str:
    """A problem as a line of a list."""
    if not isinstance(fault, Problem):
        return str(fault)
    parts = [f"{fault.where}: {fault.what}"]
    parts += [f"found {fault.found}"] if fault.found is not None else []
    parts += [f"wanted {fault.wanted}"] if fault.wanted is not None else []
    return "; ".join([", ".join(parts), *([fault.fix] if fault.fix else [])])


def _fault(call: Call) -> str | None:
    try:
        call()
    except (Problem, OSError) as fault:
        return one_line(fault)
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _checks(product: Product, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    """(what compares a product's bytes, the files that they are of)."""
    return {
        "file": _file,
        "model": _model,
        "dataset": _dataset,
        "checkpoint": _checkpoint,
        "training": _training,
    }[product.kind](product.path, gone)


def _file(path: Path, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    """A file and whatever its digest's list holds besides: a report's parts."""
    listing = digests.beside(path)
    recorded = digests.listed(listing) if listing.is_file() else {}
    others = [
        partial(_compare, one, digest, listing, path) for one, digest in recorded.items() if one != path
    ]
    return [lambda: digests.check_file(path), *others], list({path: None} | recorded)


def _compare(path: Path, wanted: str, listing: Path, product: Path) -> None:
    if not path.is_file():
        raise Problem("no such file", where=path, wanted=f"sha256 {wanted}", fix=digests.again(product))
    digests.compare(path, files.sha256(path), wanted, listing, product)


def _model(path: Path, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    _, checks = stored_bytes.of_listed(path.parent)
    names = [path.parent / one["name"] for one in digests.read_json(path)["files"]]
    return checks.calls, [path, *names]


def _dataset(path: Path, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    manifest = digests.read_json(path)
    prefix = path.with_name(path.name.removesuffix(artefacts.TOKENIZED_ENDING))
    found = DatasetFiles(prefix, PACKED_STEMS).checks(manifest, digests.again(path))
    return [call for file, call in found.items() if file not in gone], [path, *found]


def _checkpoint(path: Path, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    source = open_mcore(path.parent)
    return stored_bytes.of_source(path.parent, source).calls, [path, *(source.storages or {})]


def _training(path: Path, gone: set[Path]) -> tuple[list[Call], list[Path]]:
    """done.json, the work folder's key, and the checkpoint with its optimizer; rank files by record."""
    done = digests.read_json(path)
    folder = path.parent / done["checkpoint"]
    calls, read = _checkpoint(path, gone)
    state = folder / "state.json"
    listed = digests.read_json(state).records("files") if state.is_file() else []
    for one in listed:
        if folder / one["name"] not in gone:
            calls.append(partial(_compare, folder / one["name"], one["sha256"], state, path))
    key = folder.parent / "key.json"
    calls.append(lambda: _same_key(key, done, path))
    metrics = path.parent / done["metrics"]
    if metrics not in gone:
        calls.append(lambda: digests.check_file(metrics))
    return calls, list(dict.fromkeys([*read, key, metrics, *(folder / one["name"] for one in listed)]))


def _same_key(key: Path, done: dict[str, Any], product: Path) -> None:
    found = provenance.digest(digests.read_json(key))[:16]
    if found != done["key"]:
        raise Problem(
            "the settings of a training are not those that its folder is named by",
            where=key,
            found=found,
            wanted=done["key"],
            fix=digests.again(product),
        )
