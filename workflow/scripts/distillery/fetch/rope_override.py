"""The same weights under other rotary settings: a model directory of links with a config.json of its own.

Training, conversion and export read their rotary base and context from config.json. So an override is made
there, once, and whatever comes after it agrees, the exported model included.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from distillery import digests, files
from distillery.problems import Problem


def run(args: argparse.Namespace) -> None:
    """Make the directory that fetch_override_rope.py's flags ask for.

    Raises:
        Problem: as `override`.
    """
    override(args.model_dir, args.output_dir, args.rotary_base, args.max_position_embeddings)


def override(
    model: Path, target: Path, rotary_base: float | None, max_position_embeddings: int | None
) -> None:
    """Make `target` from the Hugging Face directory `model`, which stays where it is.

    Raises:
        Problem: `model` has no manifest.json or no config.json.
    """
    for name in (digests.MANIFEST, "config.json"):
        if not (model / name).is_file():
            raise Problem("not a fetched model", where=model / name, fix="fetch or make the model first")
    manifest = digests.read_json(model / digests.MANIFEST)
    changes = {"rotary_base": rotary_base, "max_position_embeddings": max_position_embeddings}
    with files.atomic_directory(target) as partial:
        for entry in manifest["files"]:
            link = partial / entry["name"]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(model / entry["name"], target / Path(entry["name"]).parent))
        (partial / "config.json").unlink()
        files.write_json(
            partial / "config.json", changed(digests.read_json(model / "config.json"), **changes)
        )
        entries = {entry["name"]: entry for entry in manifest["files"]}
        entries["config.json"] = digests.entry("config.json", partial / "config.json")
        source = {"of": manifest["source"], "rope": changes}
        listed = [entries[name] for name in sorted(entries)]
        digests.write_json(partial / digests.MANIFEST, {**manifest, "source": source, "files": listed})


def changed(
    config: dict[str, Any], *, rotary_base: float | None, max_position_embeddings: int | None
) -> dict[str, Any]:
    """config.json with these settings, in whichever of transformers' two spellings it has; None changes nothing."""
    config = dict(config)
    if max_position_embeddings is not None:
        config["max_position_embeddings"] = max_position_embeddings
    if rotary_base is not None:
        if config.get("rope_parameters"):
            config["rope_parameters"] = {**config["rope_parameters"], "rope_theta": float(rotary_base)}
        if "rope_theta" in config or not config.get("rope_parameters"):
            config["rope_theta"] = float(rotary_base)
    return config
