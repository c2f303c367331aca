"""The guide's own values as a configuration: its four scripts, imported, on the chip of an Atlas 800T A2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from places import ROOT

from distillery.shell import importing

SCRIPTS = sorted((ROOT / "config/guide-scripts").glob("*.sh"))
NAME = "tune_distill_qwen_7b_full"  # of the experiment


def guide() -> dict[str, Any]:
    """The configuration, with the one thing that no script says."""
    raw = yaml.safe_load(importing.together(SCRIPTS).text)
    raw["hardware"]["ascend"]["chip"] = "910B3"
    return raw


def write_guide(folder: Path) -> Path:
    """A file of it."""
    path = folder / "guide.yaml"
    path.write_text(yaml.safe_dump(guide()))
    return path
