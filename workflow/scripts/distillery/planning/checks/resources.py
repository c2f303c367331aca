"""Memory of the devices against what training needs, and layouts that fit where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from distillery.engine.architecture import Architecture
from distillery.experiment import Layout
from distillery.planning import chips, memory, training
from distillery.planning.checks.layout import describe
from distillery.planning.finding import Finding
from distillery.planning.subject import Subject

NEAREST = 3


def device_memory(s: Subject) -> Iterator[Finding]:
    """Training fits the fullest device."""
    budget = chips.memory_gib(s.experiment.hardware)
    needed = training.device_memory(s)
    if budget is None or needed is None or needed.gib <= budget:
        return
    options = fitting(s, budget)
    yield Finding(
        "device-memory",
        (
            s.stage_key("train", "layout"),
            s.stage_key("train", "seq_length"),
            f"hardware.{s.experiment.hardware.name}",
        ),
        f"{needed.gib:.1f} GiB on the fullest device ({describe(s.experiment.training.layout)}: weights"
        f" {needed.parameters / memory.GIB:.1f}, gradients {needed.gradients / memory.GIB:.1f}, optimizer"
        f" {needed.optimizer / memory.GIB:.1f}, activations {needed.activations / memory.GIB:.1f}, logits"
        f" {needed.logits / memory.GIB:.1f})",
        f"at most {budget:.1f} GiB",
        "these fit: " + ", ".join(options) if options else "use more devices or a shorter seq_length",
    )


def fitting(s: Subject, budget: float) -> list[str]:
    """The nearest settings that fit: few changes first, then small model-parallel groups."""
    stage, model = s.experiment.training, s.architecture
    found = []
    for recompute in (training.run(s).recompute, True):
        for layout in layouts(model, s.world(stage), stage.layout.params_dtype):
            run = training.run(s, replace(stage, layout=layout), recompute)
            gib = memory.fullest(model, layout, run).gib
            if gib <= budget:
                changes = (layout != stage.layout) + (recompute != training.run(s).recompute)
                size = layout.tensor_parallel_size * layout.pipeline_parallel_size
                named = " with recompute_granularity: full" if recompute else ""
                found.append((changes, size, f"{describe(layout)}{named} ({gib:.1f} GiB)"))
    return [text for _, _, text in sorted(dict.fromkeys(found))[:NEAREST]]


def layouts(model: Architecture, devices: int, dtype: str) -> Iterator[Layout]:
    """Every layout that the model and the devices allow."""
    for tensor in range(1, devices + 1):
        sizes = (model.num_heads, model.num_groups, model.hidden_size, model.ffn_size, model.vocab_size)
        if any(size % tensor for size in sizes):
            continue
        for stages in range(1, devices // tensor + 1):
            if devices % (tensor * stages) == 0 and model.num_layers % stages == 0:
                yield Layout(dtype, tensor, stages)


CHECKS = (device_memory,)
