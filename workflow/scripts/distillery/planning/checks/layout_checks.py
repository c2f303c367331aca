"""How weights are cut: devices, tensor, pipeline and context sizes (Megatron-core's own conditions)."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.experiment import Layout
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning


def describe(layout: Layout) -> str:
    """`TP2 PP1`, with its list of layers where it has one."""
    layers = f" with layers {','.join(map(str, layout.num_layer_list))}" if layout.num_layer_list else ""
    return f"TP{layout.tensor_parallel_size} PP{layout.pipeline_parallel_size}{layers}"


def _count(devices: int) -> str:
    return "1 device" if devices == 1 else f"{devices} devices"


def node_devices(s: Setup) -> Iterator[Finding]:
    """A stage takes at most the devices that a node has."""
    machine = s.experiment.hardware
    for name, stage in s.stages():
        if stage.npus_per_node > machine.npus_per_node:
            yield error(
                "npus-per-node",
                [s.devices_key(name), f"{s.hardware_key}.npus_per_node"],
                f"{stage.npus_per_node} for {name}, where a node has {machine.npus_per_node}",
                f"at most {machine.npus_per_node}",
                "lower it, or correct the hardware",
            )


def devices(s: Setup) -> Iterator[Finding]:
    """Training's devices hold the model once or several times, with none left over; one node's hold it for answers."""
    most = s.experiment.hardware.npus_per_node
    for name, stage in s.stages():
        needed = s.model_parallel(stage)
        available = s.world(stage) if name == "train" else stage.npus_per_node
        if available % needed if name == "train" else available < needed:
            yield error(
                "devices",
                [s.devices_key(name), s.stage_key(name, "layout")],
                f"{_count(available)} for {describe(stage.layout)}",
                f"a multiple of {needed}" if name == "train" else f"at least {needed}, in one node",
                (f"set {name}.npus_per_node to {needed}, or " if needed <= most else "")
                + f"give {name} a layout of at most {_count(available)} (another than convert's adds a reshard step)",
            )


def layout_change(s: Setup) -> Iterator[Finding]:
    """One layout from convert to answers, or reshard steps that the plan names."""
    e = s.experiment
    uses = (
        ("train", e.convert.layout, e.train.layout, "training starts from"),
        ("generate", e.train.layout, e.generate.layout, "answers come from"),
    )
    for stage, held, layout, purpose in uses:
        # without a layout of its own a stage takes the weights as the one before left them, as far as they fit
        own = "layout" in e.settings[stage]
        if layout != held:
            keys = (
                s.stage_key("train", "layout") if stage == "generate" else s.key("layout"),
                s.key(f"{stage}.layout") if own else s.devices_key(stage),
            )
            found = f"weights are {describe(held)}, {purpose} {describe(layout)}"
            fix = "write the layout once, or accept this: a reshard step is added"
            yield warning("layout-change", keys, found, "one layout", fix)


def _layouts(s: Setup) -> list[tuple[str, Layout]]:
    e = s.experiment
    found = {e.convert.layout: s.key("layout")}
    for name, stage in s.stages():
        found.setdefault(stage.layout, s.stage_key(name, "layout"))
    return [(key, layout) for layout, key in found.items()]


def tensor_split(s: Setup) -> Iterator[Finding]:
    """Heads, key/value groups, widths and vocabulary divide by TP; an uneven vocabulary is cut silently wrong."""
    model = s.architecture
    if model is None:
        return
    sizes = {
        "attention heads": model.num_attention_heads,
        "key/value groups": model.num_query_groups,
        "hidden size": model.hidden_size,
        "ffn size": model.ffn_hidden_size,
        "vocabulary": model.vocab_size,
    }
    for key, layout in _layouts(s):
        tensor = layout.tensor_parallel_size
        uneven = [f"{size} {what}" for what, size in sizes.items() if size % tensor]
        if uneven:
            possible = [n for n in range(1, 65) if not any(size % n for size in sizes.values())]
            yield error(
                "tensor-split",
                [f"{key}.tensor_parallel_size", s.model_key],
                f"TP{tensor} for {', '.join(uneven)}",
                f"TP in {', '.join(map(str, possible))}",
                "choose one of those; pipeline stages use the other devices",
            )


def layer_split(s: Setup) -> Iterator[Finding]:
    """Stages get whole layers: an even share, or a list with one positive count for each."""
    model = s.architecture
    for key, layout in _layouts(s):
        stages, layers = layout.pipeline_parallel_size, layout.num_layer_list
        where = (f"{key}.num_layer_list", f"{key}.pipeline_parallel_size")
        if layers and (len(layers) != stages or stages == 1):
            yield error(
                "layer-list",
                where,
                f"{len(layers)} counts for {stages} stages",
                "one for each of several stages",
                "leave num_layer_list out, or give one count a stage",
            )
        elif model and layers and sum(layers) != model.num_layers:
            yield error(
                "layer-list",
                [where[0], s.model_key],
                f"counts that sum to {sum(layers)}",
                f"{model.num_layers} layers",
                f"make them sum to {model.num_layers}",
            )
        elif model and not layers and model.num_layers % stages:
            yield error(
                "layer-split",
                [where[1], s.model_key],
                f"PP{stages} for {model.num_layers} layers",
                "a divisor of the layers",
                "choose a divisor, or set num_layer_list",
            )


def sequence_parallel(s: Setup) -> Iterator[Finding]:
    """Sequence parallelism cuts the sequence over the tensor ranks."""
    if not s.train["sequence_parallel"]:
        return
    stage = s.experiment.train
    tensor = stage.layout.tensor_parallel_size
    if stage.seq_length % tensor:
        yield error(
            "sequence-parallel",
            [
                s.key("train.sequence_parallel"),
                s.stage_key("train", "layout"),
                s.stage_key("train", "seq_length"),
            ],
            f"TP{tensor} and {stage.seq_length} tokens",
            "TP that divides the length",
            "leave sequence_parallel out, or choose such a TP",
        )


def context_parallel(s: Setup) -> Iterator[Finding]:
    """Ring attention gives each rank two chunks of the sequence, of one length in all rows."""
    context, length = s.train["context_parallel_size"], s.experiment.train.seq_length
    if context == 1:
        return
    if length % (2 * context) or s.train.get("variable_seq_lengths"):
        varied = " of variable length" if s.train.get("variable_seq_lengths") else ""
        yield error(
            "context-parallel",
            [s.key("train.context_parallel_size"), s.stage_key("train", "seq_length")],
            f"CP{context} for sequences of {length} tokens{varied}",
            f"a fixed length that 2*CP = {2 * context} divides",
            "change the length or CP, and leave variable_seq_lengths out",
        )


def nodes(s: Setup) -> Iterator[Finding]:
    """Ranks find each other: a node's number, an address others reach, a port that users may open."""
    machine = s.experiment.hardware
    at = f"hardware.{machine.name}"
    if machine.node_rank >= machine.nodes:
        yield error(
            "node-rank",
            [f"{at}.node_rank", f"{at}.nodes"],
            f"number {machine.node_rank} of {machine.nodes}",
            f"0 to {machine.nodes - 1}",
            "count nodes from 0",
        )
    # with `gres` a cluster is asked for nodes, and tells the launcher which is the first
    if machine.nodes > 1 and not machine.gres and machine.master_addr in ("localhost", "127.0.0.1", "::1"):
        yield error(
            "master-address",
            [f"{at}.master_addr", f"{at}.nodes", f"{at}.gres"],
            f"{machine.master_addr} for {machine.nodes} nodes",
            "an address that all nodes reach",
            "set it to the first node's address, or name gres for a Slurm cluster, which tells it",
        )
    if not 1024 <= machine.master_port <= 65535:
        yield error(
            "master-port",
            [f"{at}.master_port"],
            str(machine.master_port),
            "1024 to 65535 (msrun takes no other)",
            "choose a free port there, e.g. 6000",
        )


def tensor_across_nodes(s: Setup) -> Iterator[Finding]:
    """Tensor ranks talk twice a layer, which only the links inside a node bear."""
    for name, stage in s.stages():
        if stage.layout.tensor_parallel_size > stage.npus_per_node and s.experiment.hardware.nodes > 1:
            yield warning(
                "tensor-across-nodes",
                [s.stage_key(name, "layout"), s.devices_key(name)],
                f"TP{stage.layout.tensor_parallel_size} over nodes of {stage.npus_per_node}",
                f"TP of at most {stage.npus_per_node}",
                "use pipeline stages between nodes",
            )


CHECKS = (
    node_devices,
    devices,
    layout_change,
    tensor_split,
    layer_split,
    sequence_parallel,
    context_parallel,
    nodes,
    tensor_across_nodes,
)
