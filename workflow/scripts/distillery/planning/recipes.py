"""Learning rates that are published to work, by dataset, and where that is published."""

from __future__ import annotations

from dataclasses import dataclass

from distillery.experiment import Dataset


@dataclass(frozen=True)
class Recipe:
    """Full fine-tuning on one dataset: peak learning rate, epochs, longest sequence."""

    name: str
    lr: float
    epochs: float
    seq_length: int
    source: str


RECIPES = {
    "open-r1/OpenR1-Math-220k": Recipe(
        "OpenR1-Qwen-7B", 5e-5, 3, 32768, "https://huggingface.co/open-r1/OpenR1-Qwen-7B"
    ),
    "open-r1/Mixture-of-Thoughts": Recipe(
        "OpenR1-Distill-7B",
        4e-5,
        5,
        32768,
        "https://github.com/huggingface/open-r1/blob/main/recipes/OpenR1-Distill-7B/sft/config_distill.yaml",
    ),
}


def of(dataset: Dataset) -> Recipe | None:
    """The published recipe for a hub dataset, None where none is recorded."""
    return RECIPES.get(dataset.source.settings.get("repo", ""))
