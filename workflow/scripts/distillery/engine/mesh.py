"""Which process holds what: tensor, data and pipeline ranks and their communication groups.

Ranks are numbered as Megatron's: tensor fastest, then data, then pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass

from distillery.problems import UsageProblem


@dataclass(frozen=True)
class Mesh:
    """Sizes of the three kinds of parallelism, and this process's rank among tensor * data * pipeline."""

    tensor: int = 1
    data: int = 1
    pipeline: int = 1
    rank: int = 0

    @property
    def world(self) -> int:
        return self.tensor * self.data * self.pipeline

    @property
    def model(self) -> int:
        """Ranks that hold one copy of the model together."""
        return self.tensor * self.pipeline

    @property
    def tensor_rank(self) -> int:
        return self.rank % self.tensor

    @property
    def data_rank(self) -> int:
        return self.rank // self.tensor % self.data

    @property
    def pipeline_rank(self) -> int:
        return self.rank // (self.tensor * self.data)

    @property
    def first(self) -> bool:
        return self.pipeline_rank == 0

    @property
    def last(self) -> bool:
        return self.pipeline_rank == self.pipeline - 1

    def peers(self, axis: str) -> tuple[int, ...]:
        """Ranks that differ from this one on `axis` only: tensor, data or pipeline; on the two others of data: model.

        Of the pipeline there are also "ends", first and last stage, and "next" and "previous", this stage and a
        neighbour, the earlier one first.
        """
        stage, stride = self.pipeline_rank, self.tensor * self.data
        base = self.rank - stage * stride
        if axis == "tensor":
            return tuple(self.rank - self.tensor_rank + i for i in range(self.tensor))
        if axis == "model":
            first = self.data_rank * self.tensor
            return tuple(first + t + p * stride for p in range(self.pipeline) for t in range(self.tensor))
        if axis == "data":
            start = self.rank - self.data_rank * self.tensor
            return tuple(start + i * self.tensor for i in range(self.data))
        stages = {
            "pipeline": range(self.pipeline),
            "ends": {0, self.pipeline - 1},
            "next": (stage, stage + 1),
            "previous": (stage - 1, stage),
        }[axis]
        return tuple(base + each * stride for each in sorted(stages))


def mesh(tensor: int, pipeline: int, world: int, rank: int) -> Mesh:
    """The mesh of `world` processes; what tensor and pipeline do not use is data parallelism.

    Raises:
        UsageProblem: tensor * pipeline does not divide the number of processes.
    """
    if world % (tensor * pipeline):
        raise UsageProblem(
            "the layout does not fit the number of processes",
            where="--tensor-model-parallel-size, --pipeline-model-parallel-size, msrun --worker_num",
            found=f"TP {tensor} x PP {pipeline} on {world} processes",
            wanted=f"a multiple of {tensor * pipeline} processes",
            fix=f"start with msrun --worker_num {tensor * pipeline} --local_worker_num {tensor * pipeline}",
        )
    return Mesh(tensor, world // (tensor * pipeline), pipeline, rank)
