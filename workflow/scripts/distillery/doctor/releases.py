"""What goes with what: releases of MindSpeed-LLM by version and framework, and MindSpore's own table, with their sources.

The facts are in releases.json, which has each version and framework that a configuration may name.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery.launch.mindspeed import accepted_flags

RELEASES = Path(__file__).with_name("releases.json")


@dataclass(frozen=True)
class Release:
    """One version of MindSpeed-LLM on one framework.

    Attributes:
        home: the checkouts that it consists of. `install` brings them, `set_env` names what its ranks source, `modules`
            says how Python comes to find them.
        checkouts: tags and branches of MindSpeed-LLM that are this version.
        scripts: that must be there. `imports`: modules that must import where its ranks run, in this order.
        packages: {distribution: version}; `present`: distributions of any version.
        cann, driver: that its documents name, None where they name none; of the driver the oldest.
    """

    version: str
    framework: str
    home: str
    install: str
    set_env: str
    modules: str
    checkouts: tuple[str, ...]
    scripts: tuple[str, ...]
    packages: Mapping[str, str]
    present: tuple[str, ...]
    imports: tuple[str, ...]
    cann: str | None
    driver: str | None
    support: str
    sources: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.version} on {self.framework}"


def of(installation: Mapping[str, str]) -> Release:
    """The release of `hardware.NAME.mindspeed_llm`: its framework (default mindspore) and version (default 2.2.0)."""
    version = installation.get("version") or accepted_flags.VERSION
    framework = installation.get("framework") or "mindspore"
    found = _data()["mindspeed-llm"][version][framework]
    lists = {key: tuple(value) for key, value in found.items() if isinstance(value, list)}
    return Release(version=version, framework=framework, **{**found, **lists})


def mindspore(version: str) -> tuple[str | None, str | None]:
    """(CANN, oldest driver) that mindspore.cn publishes for a MindSpore; `2.7.1.post2` is a 2.7.1."""
    found = _data()["mindspore"].get(plain(version), {"cann": None, "driver": None})
    return found["cann"], found["driver"]


def plain(version: str) -> str:
    """A version without what builds add to it: `2.7.1.post2` and `2.7.1+cpu` are 2.7.1."""
    return re.sub(r"(\.post\d+|\+.*)$", "", version)


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads(RELEASES.read_text(encoding="utf-8"))
