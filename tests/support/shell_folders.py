"""Folders of launch scripts, copies of them with a text changed, and what an import of them says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml
from places import FIXTURES, ROOT

from distillery import config
from distillery.shell.importing import Imported

MATH, TORCHRUN = FIXTURES / "shell/math", FIXTURES / "shell/torchrun"
GUIDE = ROOT / "config/guide-scripts"
TUNE, DATA, CONVERT, GENERATE = (
    "tune_qwen25_math_7b_full_ms.sh",
    "data_convert_qwen25_math_instruction.sh",
    "ckpt_convert_qwen25_math_hf2mcore.sh",
    "generate_qwen25_math_7b_ms.sh",
)


def scripts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sh"))


def changed(folder: Path, edits: Mapping[str, tuple[str, str] | str | None]) -> list[Path]:
    """The math scripts in a folder, one text replaced, a file written anew, or left out."""
    for path in scripts(MATH):
        edit = edits.get(path.name, ("", ""))
        if edit is not None:
            text = path.read_text()
            assert isinstance(edit, str) or edit[0] in text, f"{edit[0]} is not in {path.name}"
            (folder / path.name).write_text(edit if isinstance(edit, str) else text.replace(*edit))
    for name in edits.keys() - {path.name for path in scripts(MATH)}:
        (folder / name).write_text(edits[name])
    return scripts(folder)


def loaded(imported: Imported) -> config.Config:
    return config.load(yaml.safe_load(imported.text))


def experiment(imported: Imported) -> dict:
    ((_, found),) = yaml.safe_load(imported.text)["experiments"].items()
    return found


def lines(imported: Imported, id: str) -> list[str]:
    return [str(one) for one in imported.findings if one.id == id]
