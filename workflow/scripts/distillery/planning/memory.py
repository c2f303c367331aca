"""Memory of the fullest device in training, by formula.

Megatron-core with bf16 weights, fp32 gradients and Adam holds for a device's share P of the parameters

    2P weights + 4P gradients + 8P/DP Adam moments (12P/DP where fp32 master weights are kept too)

with the distributed optimizer (without it, DP is 1). Flash attention keeps for the backward pass, per token
and layer, 8h bytes that every tensor rank has (inputs and outputs of both norms, in bf16), and, cut over
the tensor ranks, q, k, v and the attention's output (2 bytes each) and 6f of the MLP. A stage of a 1F1B
pipeline holds as many micro-batches as stages follow it, itself included. Full recomputation keeps the
layers' inputs (2h) and one layer's activations. With LoRA gradients and moments are the adapters' alone, which are fp32. The last stage's logits take 10 bytes a token and vocabulary
entry: bf16, their fp32 copy, and its gradient (8 in fp32, which needs no copy).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

from distillery.architecture import Architecture
from distillery.experiment import Layout
from distillery.lora import Lora

GIB = 2**30
# of a parameter: two fp32 moments, and fp32 weights where they are of another type
MOMENT_BYTES, MASTER_BYTES = 8, 4
WIDTH = {"fp32": 4, "bf16": 2, "fp16": 2}
# Peak of its process on a CPU = RUNTIME + weights, gradients and moments + GRAPH * (activations + logits). Fitted on
# bench_train.py's shapes A (0.63 GB), C (0.44) and B with 16 rows (2.78). Left out: B 1.15 GB, estimated 1.11; with
# recomputation B 0.82, estimated 0.81, and B with 16 rows 1.06, estimated 1.01.
RUNTIME_BYTES = 0.42e9  # Python with MindSpore, before any tensor
GRAPH_FACTOR = 1.38  # the compiled graph holds gradients of activations beside them


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    parameters: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def total(self) -> float:
        """Bytes of all parts together."""
        return sum(astuple(self))

    @property
    def gib(self) -> float:
        """The total in GiB."""
        return self.total / GIB


@dataclass(frozen=True)
class Run:
    """What training memory depends on beside model and layout."""

    seq_length: int
    micro_batch_size: int = 1
    microbatches: int = 1
    data_parallel: int = 1
    context_parallel: int = 1
    sequence_parallel: bool = False
    recompute: bool = False
    distributed_optimizer: bool = True
    master_weights: bool = False
    logits_at_once: int | None = None  # entries, where logits come in pieces
    lora: Lora | None = None  # weights are frozen then: gradients and moments are the adapters'


def fullest(model: Architecture, layout: Layout, run: Run) -> Memory:
    """The stage that needs most."""
    counts = layers(model, layout)
    return max(
        (stage(model, layout, run, counts, rank) for rank in range(len(counts))), key=lambda m: m.total
    )


def layers(model: Architecture, layout: Layout) -> tuple[int, ...]:
    """Layers of each pipeline stage; an uneven rest goes to the first ones."""
    # more stages than layers are refused elsewhere: here they are not counted, for a typing error may be a thousand million
    stages = min(layout.pipeline_parallel_size, model.num_layers)
    if layout.num_layer_list and len(layout.num_layer_list) == stages:
        return layout.num_layer_list
    each, rest = divmod(model.num_layers, stages)
    return tuple(each + (rank < rest) for rank in range(stages))


def stage(model: Architecture, layout: Layout, run: Run, counts: tuple[int, ...], rank: int) -> Memory:
    """Memory of each device of pipeline stage `rank`, which holds `counts[rank]` layers."""
    tensor, width = layout.tensor_parallel_size, WIDTH[layout.params_dtype]
    last = rank == len(counts) - 1
    h, f = model.hidden_size, model.ffn_hidden_size
    mine = parameters(model, counts, rank) / tensor
    added = run.lora.parameters(replace(model, num_layers=counts[rank])) / tensor if run.lora else 0
    trained = added or mine

    tokens = run.seq_length * run.micro_batch_size / run.context_parallel
    flying = min(len(counts) - rank, run.microbatches)
    everywhere = 8 * h / (tensor if run.sequence_parallel else 1)
    cut = 2 * (model.qkv_size + model.num_attention_heads * model.kv_channels) + 6 * f
    layer = (everywhere + cut / tensor) * width / 2
    inputs = width * h / (tensor if run.sequence_parallel else 1)
    kept = counts[rank] * flying * inputs + layer if run.recompute else counts[rank] * flying * layer

    entries = tokens * model.vocab_size / tensor
    moments = 12 if run.master_weights and width == 2 else 8
    return Memory(
        parameters=width * mine + 4 * added,
        gradients=4 * trained,
        optimizer=moments * trained / (run.data_parallel if run.distributed_optimizer else 1),
        activations=kept * tokens,
        logits=(10 if width == 2 else 8) * min(entries, run.logits_at_once or entries) if last else 0.0,
    )


def parameters(model: Architecture, counts: tuple[int, ...], rank: int) -> int:
    """Parameters of pipeline stage `rank`, over all its tensor ranks."""
    first, last = rank == 0, rank == len(counts) - 1
    embedding = model.vocab_size * model.hidden_size
    held = replace(model, num_layers=counts[rank]).num_parameters - embedding * (1 if model.tied else 2)
    tables = int(first) + int(last) if not (model.tied and first and last) else 1
    return held + embedding * tables


def checkpoint_bytes(model: Architecture, dtype: str, adapted: Lora | None, *, state: bool) -> int:
    """Bytes of a checkpoint: weights, and of what is trained two fp32 moments, and its fp32 values where they are no weights.

    Args:
        state: whether the optimizer's is saved; that of adapters always is.
    """
    whole, width = model.num_parameters, WIDTH[dtype]
    if adapted is not None:
        return whole * width + adapted.parameters(model) * (MOMENT_BYTES + MASTER_BYTES)
    return whole * (width + state * (MOMENT_BYTES + (MASTER_BYTES if width == 2 else 0)))


INT8_WIDTH = 1 + 4 / 64  # a byte, and a float32 scale for 64 of them


def generate(
    model: Architecture, layout: Layout, sequences: int, length: int, width: int, weight: float
) -> Memory:
    """Memory of the fullest device that answers: its weights, the keys and values of all slots, fp32 logits.

    Args:
        sequences, length: answered at a time, and their tokens, prompt included.
        width: bytes of a key or value.
        weight: bytes of a weight.
    """
    counts, tensor = layers(model, layout), layout.tensor_parallel_size
    cached = kv_cache(model, width) / model.num_layers / tensor * sequences * length
    stages = (
        Memory(
            parameters=weight * parameters(model, counts, rank) / tensor,
            gradients=0.0,
            optimizer=0.0,
            activations=counts[rank] * cached,
            logits=4 * sequences * model.vocab_size / tensor if rank == len(counts) - 1 else 0.0,
        )
        for rank in range(len(counts))
    )
    return max(stages, key=lambda one: one.total)


def kv_cache(model: Architecture, width: int = 2) -> int:
    """Bytes of one token's keys and values in all layers."""
    return 2 * model.num_layers * model.num_query_groups * model.kv_channels * width


def process_bytes(used: Memory) -> float:
    """Resident bytes of a rank of the built-in engine on a CPU, at their peak."""
    state = used.parameters + used.gradients + used.optimizer
    return RUNTIME_BYTES + state + GRAPH_FACTOR * (used.activations + used.logits)
