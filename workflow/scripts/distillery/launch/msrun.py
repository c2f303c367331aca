"""The command line of MindSpore's msrun for one node of a job.

    command(Job(worker=("posttrain_gpt.py", ...), local_workers=8, log_dir=Path("logs/e/msrun_train")), "msrun")

One process per device; with one worker on one node no msrun is needed, and the script is started itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distillery.problems import UsageProblem


@dataclass(frozen=True)
class Job:
    """What to start on this node.

    Args:
        worker: a Python script and its arguments, the same for every rank.
        local_workers: processes on this node, msrun's local_worker_num; one per device.
        nodes: machines with that many workers each.
        node_rank: this machine's number, from 0.
        master_addr, master_port: where the scheduler of rank 0's machine listens.
        log_dir: one worker_<rank>.log per rank, scheduler.log, msrun.log or msrun_<node>.log.
        cluster_time_out: seconds in which all ranks must have come; a cold 15 GB load happens after it.
        bind_core: each worker keeps to its own cores.
    """

    worker: tuple[str, ...]
    log_dir: Path
    local_workers: int = 1
    nodes: int = 1
    node_rank: int = 0
    master_addr: str = "127.0.0.1"
    master_port: int = 8118
    cluster_time_out: int = 600
    bind_core: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.node_rank < self.nodes:
            raise UsageProblem(
                "the node's rank lies outside the job",
                found=f"--node-rank {self.node_rank} of --nodes {self.nodes}",
                wanted=f"0 to {self.nodes - 1}, each on one node",
            )
        if self.distributed and not 1024 <= self.master_port <= 65535:
            raise UsageProblem("msrun takes no such port", found=self.master_port, wanted="1024 to 65535")
        if self.nodes > 1 and self.master_addr in ("localhost", "127.0.0.1"):
            raise UsageProblem(
                "the other nodes cannot reach this master address",
                found=f"--master-addr {self.master_addr} with --nodes {self.nodes}",
                wanted="the address of node 0 on the network between the nodes",
            )

    @property
    def workers(self) -> int:
        """World size: ranks on all nodes."""
        return self.local_workers * self.nodes

    @property
    def distributed(self) -> bool:
        return self.workers > 1

    @property
    def local_ranks(self) -> range:
        first = self.node_rank * self.local_workers
        return range(first, first + self.local_workers)

    def log(self, rank: int) -> Path:
        return rank_log(self.log_dir, rank)

    @property
    def own_log(self) -> Path:
        """What the started process itself says: msrun, or the only worker."""
        if not self.distributed:
            return self.log(0)
        return self.log_dir / ("msrun.log" if self.nodes == 1 else f"msrun_{self.node_rank}.log")


def rank_log(log_dir: Path, rank: int) -> Path:
    """Where a rank's output lies, on whichever node it runs: the folder is all nodes'."""
    return log_dir / f"worker_{rank}.log"


def command(job: Job, python: str, msrun: str) -> list[str]:
    """The words that start `job` here; the caller's environment decides which `python` msrun itself finds."""
    if not job.distributed:
        return [python, *job.worker]
    return [
        msrun,
        f"--worker_num={job.workers}",
        f"--local_worker_num={job.local_workers}",
        f"--master_addr={job.master_addr}",
        f"--master_port={job.master_port}",
        f"--node_rank={job.node_rank}",
        f"--log_dir={job.log_dir}",
        # joined, or it returns 0 at once whatever becomes of the workers
        "--join=True",
        f"--cluster_time_out={job.cluster_time_out}",
        f"--bind_core={job.bind_core}",
        # no such rank: the launcher follows the logs itself, without one `tail` process per rank
        f"--tail_worker_log={job.workers}",
        *job.worker,
    ]
