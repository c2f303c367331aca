"""What a job asks a scheduler for beside its devices: memory, from its estimate."""

from __future__ import annotations

from distillery.experiment import Config
from distillery.planning import estimate
from distillery.planning.experiment_setup import gather

LEAST = 4000  # MB, as the profiles give any job
# Megatron's share is assumed, not measured; a job that takes more than it asked for is killed
ROOM = 1.5


def megabytes(config: Config, name: str, rule: str) -> int:
    """For a job of `rule` on each of its nodes: its estimate and half as much again, no more than the node has.

    Where nothing can be estimated it is the whole node, or LEAST where that is not known either.
    """
    estimated = _estimated(config, name).get(rule)
    memory = config.experiments[name].hardware.host_memory_gib
    node = None if memory is None else int(memory * 1024)
    if estimated is None:
        return node or LEAST
    wanted = max(LEAST, round(estimated * ROOM / 1e6))
    return wanted if node is None else min(wanted, node)


def _estimated(config: Config, name: str) -> dict[str, float | None]:
    steps = estimate.of(gather(config, name)).steps
    return {rule: step.host_bytes for step in steps for rule in step.rules}
