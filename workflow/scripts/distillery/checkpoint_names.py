"""Names in and of directories of weights: Megatron's, and the record of a training."""

from __future__ import annotations

from pathlib import Path

from distillery.problems import Problem

LONGEST = 10  # digits of an iteration
TRACKER = "latest_checkpointed_iteration.txt"  # names the iteration that is whole
RANK_FILE = "model_optim_rng.pt"  # one rank's weights
DONE = "done.json"  # beside trained weights, written last
WORK = "work"  # below them, a folder for each run, named by its key
# Megatron's names of the tensors that have a row for each id
TABLES = ("embedding.word_embeddings.weight", "output_layer.weight")


def tracked(tracker: Path) -> int | str:
    """The iteration that a tracker file names, or `release`.

    Raises:
        Problem: it names none.
        OSError: the file cannot be read.
    """
    text = tracker.read_text(encoding="utf-8", errors="replace").strip()
    if text == "release":
        return text
    if not (text.isascii() and text.isdecimal() and len(text) < LONGEST):
        raise Problem(
            "the tracker file names no iteration",
            where=tracker,
            found=text[:80] or "nothing",
            wanted="a number",
            fix="convert or train again",
        )
    return int(text)


def iteration_name(number: int) -> str:
    """Name of an iteration's directory, e.g. iter_0000400."""
    return f"iter_{number:07d}"
