"""Licences for a model card: what sources state of themselves, each with the place where it stands; nothing is guessed.

found = of_model(Path("resources/models/qwen/manifest.json"), exported=["LICENSE", ...])
found.header      # {"license": "apache-2.0"}, the fields of a card's header
found.said        # 'apache-2.0, as its README.md states'
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from distillery import digests, late_files

README, LICENSE = "README.md", "LICENSE"
LONGEST = 100_000  # characters of a header: the longest of known cards, with all their scores, have some ten thousand
OPENED = 1000  # lists and mappings in brackets: the parser looks at all that are open for each word, minutes for 100,000
FIELDS = ("license", "license_name", "license_link")


@dataclass(frozen=True)
class Licence:
    """Of weights.

    Attributes:
        header: the fields of a model card's header.
        said: the same in words, with where it is stated.
    """

    header: dict[str, str]
    said: str


def of_model(original: Path, exported: Collection[str]) -> Licence:
    """The licence of the model that was there first, which a tuned one is under as well.

    Args:
        original: the manifest of that model, whose README.md may state it.
        exported: names of the export's files, the original's LICENSE perhaps among them.

    Raises:
        Problem: a README.md that is not the one that was fetched.
    """
    folder = original.parent
    stated = _stated(folder / README) if late_files.present(folder, [README]) else {}
    if "license" in stated:
        link = stated.get("license_link", "")
        if "://" not in link and link not in exported:
            stated.pop("license_link", None)  # a file of the original's that the export has not
        also = f"; its text is `{LICENSE}`" if LICENSE in exported else ""
        return Licence(stated, f"`{_plain(stated)}`, as the original's `{README}` states{also}")
    if LICENSE in exported:
        header = {"license": "other", "license_name": "of-the-original", "license_link": LICENSE}
        return Licence(header, f"see `{LICENSE}`, which the original model came with")
    return Licence(
        {"license": "unknown"},
        f"those of the original model, which came without a {LICENSE} file and without a {README} that states one",
    )


def _plain(stated: dict[str, str]) -> str:
    text = stated.get("license_name") or stated["license"]
    return " ".join(text.replace("`", "'").split())


def _stated(readme: Path) -> dict[str, str]:
    """The licence fields of a model card's header; none where it has no header that can be read."""
    text = digests.read_bytes(readme).decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    head, closed, _ = text.removeprefix("---\n").partition("\n---")
    if (
        not text.startswith("---\n")
        or not closed
        or len(head) > LONGEST
        or sum(map(head.count, "[{")) > OPENED
    ):
        return {}
    try:
        fields: Any = yaml.safe_load(head)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(fields, dict):
        return {}
    listed = {key: one if isinstance(one, list) else [one] for key in FIELDS if (one := fields.get(key))}
    # lists of lists, which stand for gigabytes where they name one another, are no licence
    words = {key: ", ".join(one) for key, one in listed.items() if all(isinstance(each, str) for each in one)}
    return {key: one for key, one in words.items() if len(one) <= 200}
