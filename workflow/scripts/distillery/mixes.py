"""Several datasets in one experiment: what a configuration may say of their shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def faults(filled: Mapping[str, Any]) -> Iterator[str]:
    """Lists of datasets that are no mix: every one of them has a weight, or every one epochs, and stands once."""
    for name, experiment in filled["experiments"].items():
        parts, key = experiment["dataset"], f"experiments.{name}.dataset"
        if isinstance(parts, str):
            continue
        said = [{"weight", "epochs"} & part.keys() for part in parts]
        if any(one != said[0] or len(one) != 1 for one in said):
            found = ", ".join(
                f"{part['name']} {' and '.join(sorted(one)) or 'neither'}"
                for part, one in zip(parts, said, strict=True)
            )
            yield f"{key}: found {found}, wanted a weight for each dataset, or epochs for each, never both"
        names = [part["name"] for part in parts]
        yield from (
            f"{key}: {one} stands twice; give it once, with its whole share"
            for one in sorted({one for one in names if names.count(one) > 1})
        )
