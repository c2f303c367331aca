"""Which rank holds which layer: tensor, pipeline and virtual pipeline splits, uneven stages, empty layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from distillery.architecture import Architecture
from distillery.problems import UsageProblem

Chunk = tuple[tuple[int, int], ...]  # (local index, Hugging Face layer) of each layer present


@dataclass(frozen=True)
class Grid:
    """A layout resolved for one model: what every rank file holds.

    Attributes:
        stages: per pipeline rank, per virtual chunk, the layers present.
        padded_vocab_size: rows of the embedding over all tensor ranks.
    """

    tensor_parallel_size: int
    padded_vocab_size: int
    stages: tuple[tuple[Chunk, ...], ...]

    @property
    def pipeline_parallel_size(self) -> int:
        return len(self.stages)

    @property
    def ranks(self) -> list[tuple[int, int]]:
        """(tensor rank, pipeline rank) of every file, in the order the reference writes them."""
        return [(t, p) for p in range(self.pipeline_parallel_size) for t in range(self.tensor_parallel_size)]


@dataclass(frozen=True)
class Layout:
    """How weights are cut, in the words of the converter's flags."""

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    num_layer_list: tuple[int, ...] | None = None
    num_layers_per_virtual_pipeline_stage: int | None = None
    noop_layers: tuple[int, ...] = ()
    make_vocab_size_divisible_by: int = 1

    def grid(self, a: Architecture) -> Grid:
        """What every rank holds of this model.

        Padding: the smallest multiple of make_vocab_size_divisible_by * TP that holds the vocabulary.

        Raises:
            UsageProblem: the model cannot be cut so.
        """
        self._check_tensor_parallel(a)
        unit = self.make_vocab_size_divisible_by * self.tensor_parallel_size
        return Grid(self.tensor_parallel_size, math.ceil(a.vocab_size / unit) * unit, self._stages(a))

    def _stages(self, a: Architecture) -> tuple[tuple[Chunk, ...], ...]:
        sizes = self._stage_sizes(a.num_layers)
        slots = self._slots(a.num_layers)
        virtual = self.num_layers_per_virtual_pipeline_stage
        if virtual is None:
            starts = [sum(sizes[:p]) for p in range(len(sizes))]
            return tuple((_chunk(slots, start, size),) for start, size in zip(starts, sizes, strict=True))
        pp = self.pipeline_parallel_size
        if pp < 2 or sizes[0] % virtual:
            raise UsageProblem(
                "virtual pipeline stages do not fit",
                where="--num-layers-per-virtual-pipeline-stage, --target-pipeline-parallel-size",
                found=f"{virtual} layers each, {pp} pipeline ranks of {sizes[0]} layers",
                wanted="at least 2 pipeline ranks, their layers a multiple of the virtual stage's",
                fix=f"choose a divisor of {sizes[0]}, or drop the flag",
            )
        chunks = range(sizes[0] // virtual)
        return tuple(tuple(_chunk(slots, (c * pp + p) * virtual, virtual) for c in chunks) for p in range(pp))

    def _slots(self, num_layers: int) -> list[int | None]:
        """The sequence of layers with None where one is empty."""
        total = num_layers + len(self.noop_layers)
        if len(set(self.noop_layers)) < len(self.noop_layers) or any(
            not 0 <= n < total for n in self.noop_layers
        ):
            raise UsageProblem(
                "empty layers must be distinct positions of the longer sequence",
                where="--noop-layers",
                found=",".join(map(str, self.noop_layers)),
                wanted=f"0 to {total - 1} ({num_layers} layers and {len(self.noop_layers)} empty ones)",
            )
        layers = iter(range(num_layers))
        return [None if position in self.noop_layers else next(layers) for position in range(total)]

    def _stage_sizes(self, num_layers: int) -> list[int]:
        pp, total = self.pipeline_parallel_size, num_layers + len(self.noop_layers)
        if self.num_layer_list is None:
            if total % pp:
                even = [total // pp + (p < total % pp) for p in reversed(range(pp))]
                raise UsageProblem(
                    "layers cannot be shared evenly among pipeline ranks",
                    where="--target-pipeline-parallel-size",
                    found=f"{total} layers, {pp} ranks",
                    wanted="layers a multiple of ranks",
                    fix=f"add --num-layer-list {','.join(map(str, even))}, or choose a divisor of {total}",
                )
            return [total // pp] * pp
        listed = list(self.num_layer_list)
        if self.noop_layers or self.num_layers_per_virtual_pipeline_stage:
            raise UsageProblem(
                "a layer list excludes empty layers and virtual stages",
                where="--num-layer-list, --noop-layers, --num-layers-per-virtual-pipeline-stage",
                fix="keep one of them",
            )
        if pp < 2 or len(listed) != pp or sum(listed) != num_layers or min(listed) < 1:
            raise UsageProblem(
                "the layer list does not describe this model on these pipeline ranks",
                where="--num-layer-list, --target-pipeline-parallel-size",
                found=f"{','.join(map(str, listed))}: {len(listed)} numbers, sum {sum(listed)}",
                wanted=f"{pp} numbers (at least 2) of at least 1 with sum {num_layers}",
                fix="the guide's 11,13,19,21 is for a model of 64 layers on 4 ranks; write your own",
            )
        return listed

    def _check_tensor_parallel(self, a: Architecture) -> None:
        tp = self.tensor_parallel_size
        sizes = {
            "num_key_value_heads": a.num_query_groups,
            "num_attention_heads": a.num_attention_heads,
            "hidden_size": a.hidden_size,
            "intermediate_size": a.ffn_hidden_size,
        }
        for value, flag in [
            (tp, "--target-tensor-parallel-size"),
            (self.pipeline_parallel_size, "--target-pipeline-parallel-size"),
            (self.make_vocab_size_divisible_by, "--make-vocab-size-divisible-by"),
        ]:
            if value < 1:
                raise UsageProblem("a size must be at least 1", where=flag, found=value)
        for key, size in sizes.items():
            if size % tp:
                possible = [n for n in range(1, size + 1) if all(s % n == 0 for s in sizes.values())]
                raise UsageProblem(
                    "the model cannot be split among this many tensor ranks",
                    where="--target-tensor-parallel-size",
                    found=f"{tp}, while {key} is {size}",
                    wanted=f"a divisor of {key}: for this model {', '.join(map(str, possible))}",
                    fix="tensor parallelism follows the model's heads, not the number of devices",
                )


def _chunk(slots: list[int | None], start: int, count: int) -> Chunk:
    present = enumerate(slots[start : start + count])
    return tuple((local, layer) for local, layer in present if layer is not None)


def rank_directory(tensor_rank: int, pipeline_rank: int, pipeline_parallel_size: int) -> str:
    """Megatron's name of a rank's directory, e.g. mp_rank_01 or, with pipeline ranks, mp_rank_01_000."""
    stage = f"_{pipeline_rank:03d}" if pipeline_parallel_size > 1 else ""
    return f"mp_rank_{tensor_rank:02d}{stage}"
