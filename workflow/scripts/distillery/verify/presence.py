"""Whether what manifests list is there: names and sizes, no byte read, so that each start of the workflow can ask.

Snakemake knows the manifests alone: with a rank file, a .bin or an exported model's weights deleted by hand it had nothing to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import digests, json_files
from distillery.checkpoint_names import RANK_FILE, TRACKER
from distillery.experiment import Config
from distillery.problems import Problem
from distillery.verify import standing
from distillery.verify.standing import Product

TOKEN_BYTES = 4
PACKED = re.compile(r"packed_\w+_document\.bin")


@dataclass(frozen=True)
class Gone:
    """A file that a product's manifest lists and that is not there as listed."""

    product: Product
    file: Path
    found: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.file}: {self.found}, expected {self.wanted} as {self.product.path} says"


def of(config: Config) -> list[Gone]:
    """What is missing of the products of all selected experiments that have a manifest, each product once."""
    return [
        gone
        for product in standing.of_others(config)
        if product.path.is_file()
        for gone in of_product(product)
    ]


def said(gone: list[Gone], configured: Sequence[str] = ()) -> str:
    """A line for each product with what is gone of it, and the command for it.

    Args:
        configured: words of the command line that say what the workflow was started with.
    """
    lines: dict[Product, list[str]] = {}
    for one in gone:
        lines.setdefault(one.product, []).append(str(one))
    return "".join(
        f"gone: {'; '.join(files)}; "
        + ("" if product.below else "made again with what follows from it, if the goal needs it; ")
        + f"it alone: {digests.command(product.path, configured)} --until {product.path}, equal bytes rerun nothing\n"
        for product, files in lines.items()
    )


def of_product(product: Product) -> Iterator[Gone]:
    """What is missing of one product whose manifest is there; one that cannot be read says so as its own file."""
    try:
        for file, size in _listed(product):
            found = os.stat(file).st_size if file.is_file() else None
            if found is None or size not in (None, found):
                there = "no such file" if found is None else f"{found} bytes"
                yield Gone(product, file, there, "a file" if size is None else f"{size} bytes")
    except Problem as problem:
        file = Path(str(problem.where).partition(", ")[0])
        yield Gone(product, file, f"{problem.what} ({problem.found})", "a list of files")


def _listed(product: Product) -> Iterator[tuple[Path, int | None]]:
    """(file, its bytes where they are known) of everything beside or around a manifest."""
    folder = product.path.parent
    if product.kind in ("model", "checkpoint"):
        yield from _entries(folder, json_files.read(product.path))
    elif product.kind == "dataset":
        manifest = json_files.read(product.path)
        prefix = product.path.name.removesuffix("manifest.json")
        for ending in manifest.typed("crc32", dict, {}):
            tokens = PACKED.fullmatch(ending)  # columns of plain text differ in their tokens
            yield (
                folder / f"{prefix}{ending}",
                manifest.typed("tokens", int) * TOKEN_BYTES if tokens else None,
            )
    elif product.kind == "training":
        done = json_files.read(product.path)
        # through the link by which loaders go
        checkpoint = folder / Path(done.typed("checkpoint", str)).name
        yield folder / done.typed("metrics", str), None
        yield folder / TRACKER, None
        if (checkpoint / "state.json").is_file():
            yield from _entries(checkpoint, json_files.read(checkpoint / "state.json"))
        elif not any(checkpoint.glob(f"*/{RANK_FILE}")):  # MindSpeed-LLM leaves no list
            yield checkpoint / "state.json", None


def _entries(folder: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[Path, int | None]]:
    for entry in manifest.records("files"):
        yield folder / entry.typed("name", str), entry.get("bytes")
