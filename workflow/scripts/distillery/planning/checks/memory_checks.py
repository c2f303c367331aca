"""Memory of the devices against what training needs, and layouts that fit where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from distillery import resolution
from distillery.architecture import Architecture
from distillery.experiment import Layout
from distillery.planning import device_facts, memory, stage_costs
from distillery.planning.checks import layout_checks as layouts
from distillery.planning.checks import train_checks
from distillery.planning.checks.layout_checks import describe
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning

NEAREST = 3
MOST_NODES = 64
# what a layout decides, and what a proposal must not break
DECIDED = (
    layouts.devices,
    layouts.tensor_split,
    layouts.layer_split,
    layouts.sequence_parallel,
    layouts.context_parallel,
    layouts.tensor_across_nodes,
    train_checks.batch_split,
)


def device_unknown(s: Setup) -> Iterator[Finding]:
    """A plan knows a device's memory, or it cannot say whether training fits."""
    machine = s.experiment.hardware
    if machine.device == "Ascend" and device_facts.memory_gib(machine) is None:
        yield warning(
            "device-unknown",
            [f"{s.hardware_key}.chip", f"{s.hardware_key}.memory_gib"],
            "neither: nothing says whether training fits",
            "one of them",
            "set chip as npu-smi prints it, or memory_gib",
        )


def device_memory(s: Setup) -> Iterator[Finding]:
    """Training fits the fullest device."""
    budget = device_facts.memory_gib(s.experiment.hardware)
    needed = stage_costs.device_memory(s)
    if budget is None or needed is None or needed.gib <= budget:
        return
    yield error(
        "device-memory",
        [s.stage_key("train", "layout"), s.stage_key("train", "seq_length"), s.hardware_key],
        f"{needed.gib:.1f} GiB on the fullest device ({describe(s.experiment.train.layout)}: weights"
        f" {needed.parameters / memory.GIB:.1f}, gradients {needed.gradients / memory.GIB:.1f}, optimizer"
        f" {needed.optimizer / memory.GIB:.1f}, activations {needed.activations / memory.GIB:.1f}, logits"
        f" {needed.logits / memory.GIB:.1f})",
        f"at most {budget:.1f} GiB",
        _cure(s, budget),
    )


def _cure(s: Setup, budget: float) -> str:
    if options := fitting(s, budget):
        return "these fit: " + ", ".join(options)
    machine = s.experiment.hardware
    each = machine.npus_per_node
    # first the rest of this node, then more nodes
    sizes = [(per, machine.nodes) for per in range(1, each + 1) if per > s.experiment.train.npus_per_node]
    sizes += [(each, nodes) for nodes in range(machine.nodes + 1, MOST_NODES + 1)]
    for per, nodes in sizes:
        larger = replace(
            s.experiment,
            hardware=replace(machine, nodes=nodes),
            train=replace(s.experiment.train, npus_per_node=per),
        )
        if options := fitting(replace(s, experiment=larger), budget):
            return f"use at least {per * nodes} devices ({nodes} {'node' if nodes == 1 else 'nodes'} of {per}): {options[0]}"
    return f"use a shorter seq_length: with these batches no layout of up to {MOST_NODES} nodes of {each} holds it"


def fitting(s: Setup, budget: float) -> list[str]:
    """The nearest settings that fit and break nothing: few changes first, then small model-parallel groups.

    Args:
        budget: GiB of a device.
    """
    stage = s.experiment.train
    as_it_is = stage_costs.run(s).recompute
    found = []
    for layout in candidates(s.architecture, s.world(stage), stage.layout.params_dtype):
        one = _with(s, layout)
        if any(True for check in DECIDED for _ in check(one)):
            continue
        for recompute in sorted({as_it_is, True}):
            gib = memory.fullest(s.architecture, layout, stage_costs.run(one, recompute=recompute)).gib
            if gib <= budget:
                changes = (layout != stage.layout) + (recompute != as_it_is)
                size = layout.tensor_parallel_size * layout.pipeline_parallel_size
                named = " with recompute_granularity: full" if recompute else ""
                found.append((changes, size, f"{describe(layout)}{named} ({gib:.1f} GiB)"))
    return [text for _, _, text in sorted(found)[:NEAREST]]


def _with(s: Setup, layout: Layout) -> Setup:
    """The experiment with one layout throughout, answers cut down to their node."""
    e = s.experiment
    generate = replace(e.generate, layout=resolution.fitting(layout, e.generate.npus_per_node))
    one = replace(
        e,
        convert=replace(e.convert, layout=layout),
        train=replace(e.train, layout=layout),
        generate=generate,
    )
    return replace(s, experiment=one)


def candidates(model: Architecture, devices: int, dtype: str) -> Iterator[Layout]:
    """Every even cut of the model over the devices."""
    for tensor in (size for size in range(1, devices + 1) if model.num_query_groups % size == 0):
        for stages in range(1, devices // tensor + 1):
            if devices % (tensor * stages) == 0 and model.num_layers % stages == 0:
                yield Layout(dtype, tensor, stages)


def rounded(s: Setup) -> Iterator[Finding]:
    """Rounded weights give other answers; the built-in engine has the kernels for them, on a CPU."""
    kind = s.generate.get("weights", "stored")
    if kind == "stored":
        return
    keys, server = s.keys("generate.weights", "generate.engine"), s.experiment.tuned_generation.server
    device = s.experiment.hardware.device
    if server or device != "CPU":
        yield error(
            "rounded-weights",
            keys,
            f"{kind}, {f'by the server {server.name}' if server else f'on {device}'}",
            "stored; or the built-in engine on a CPU",
            "leave weights out; a server takes its own kind by `args`",
        )
        return
    yield warning(
        "lossy-weights",
        keys,
        f"{kind}: answers differ from those of the stored weights, and so may scores",
        "stored",
        "leave weights out where scores are to be compared, or accept this",
    )


CHECKS = (device_unknown, device_memory, rounded)
