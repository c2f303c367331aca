"""What lies in the directory given to --load, told before a weight is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import digests, late_files
from distillery.checkpoint_names import DONE, TRACKER
from distillery.digests import MANIFEST
from distillery.problems import Problem, UsageProblem
from distillery.provenance import digest

if TYPE_CHECKING:
    from distillery.architecture import Architecture


@dataclass(frozen=True)
class Weights:
    """Weights to answer with, as found.

    Args:
        kind: "hf" (a Hugging Face directory) or "mcore".
        architecture: from config.json, beside HF weights or in the tokenizer's directory.
        template: the template record of the data the weights were tuned on; None for untuned weights.
        identity: digest of the weights' content as their manifest has it.
    """

    directory: Path
    kind: str
    architecture: Architecture
    template: dict[str, Any] | None
    identity: str


def find(directory: Path, tokenizer: Path) -> Weights:
    """Look at `directory` without reading its weights.

    Raises:
        Problem: it holds neither a Hugging Face model nor an MCore checkpoint.
    """
    from distillery import model_config

    records = {name: _record(directory / name) for name in (MANIFEST, DONE)}
    template = records[DONE].get("template") or records[MANIFEST].get("template")
    if (directory / TRACKER).is_file():
        kind, config = "mcore", tokenizer
    elif (directory / "config.json").is_file():
        kind, config = "hf", directory
    else:
        raise Problem(
            "no weights here",
            where=directory,
            found=", ".join(sorted(path.name for path in directory.glob("*"))[:8]) or "nothing",
            wanted=f"config.json with *.safetensors (Hugging Face), or {TRACKER} (MCore)",
            fix="give --load the directory that the fetch, convert or train step wrote",
        )
    identity = digest(records if any(records.values()) else _sizes(directory))
    return Weights(directory, kind, model_config.read(config), template, identity)


def prompt_type(weights: Weights, asked: str | None) -> str:
    """The prompt type to ask with.

    It is the one the weights were tuned with (perhaps hf_chat_template, the tokenizer's own), or, if they were not,
    any.

    Raises:
        Problem: another one than the weights' own is asked for.
        UsageProblem: none is asked for, and the weights have none.
    """
    own = weights.template and weights.template["prompt_type"]
    if asked and own and asked != own:
        raise Problem(
            f"the weights were tuned with prompt type {own}, and {asked} is asked for: the model would see "
            "markers it does not know, and not stop",
            where=f"--prompt-type; {weights.directory}",
            found=asked,
            wanted=own,
            fix="leave --prompt-type out: it is known from the weights",
        )
    if not (asked or own):
        raise UsageProblem(
            "no prompt type: these weights do not record one",
            where="--prompt-type",
            wanted="a prompt type of the model's family, e.g. qwen_math_r1",
            fix="add --prompt-type NAME or --hf-chat-template",
        )
    return asked or own


def _record(path: Path) -> dict[str, Any]:
    return digests.read_json(path) if late_files.there(path) else {}


def _sizes(directory: Path) -> list[tuple[str, int]]:
    """Names and sizes: enough to notice other weights where there is no manifest."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return sorted((path.relative_to(directory).as_posix(), path.stat().st_size) for path in found)
