"""The command line of torchrun for one node of a job, for MindSpeed-LLM's PyTorch back end.

    command(Job(worker=("posttrain_gpt.py", ...), local_workers=8, log_dir=Path("logs/e/msrun_train")), "/opt/py/bin/python")

As with msrun each rank writes worker_<rank>.log, so that whoever follows a job need not know what started it: torchrun's
own folders of logs are not used, a shell between it and the worker points both streams there and becomes the worker.
"""

from __future__ import annotations

import shlex

from distillery.launch.msrun import Job


def command(job: Job, python: str) -> list[str]:
    """The words that start `job` here; no rank is started again by torchrun, the launcher's callers resume it."""
    if not job.distributed:
        return [python, *job.worker]
    log = f"{shlex.quote(str(job.log_dir))}/worker_$RANK.log"
    return [
        python,
        "-m",
        "torch.distributed.run",
        f"--nnodes={job.nodes}",
        f"--nproc-per-node={job.local_workers}",
        f"--node-rank={job.node_rank}",
        f"--master-addr={job.master_addr}",
        f"--master-port={job.master_port}",
        "--max-restarts=0",
        f"--rdzv-conf=timeout={job.cluster_time_out}",
        "--no-python",
        "sh",
        "-c",
        f'exec "$0" "$@" > {log} 2>&1',
        python,
        *job.worker,
    ]
