"""What stands before a job's command where it runs on devices, on several ranks or on several nodes.

    line(experiment, experiment.training, "finetune", "python workflow/scripts/launch.py")
    # 'python workflow/scripts/launch.py --workers 8 --npus 8 ... -- '     or '' on one CPU

Nothing here decides a result: the prefix is a resource of the rule, not a param, so that another port,
time-out or number of ranks does not make finished training stale.
"""

from __future__ import annotations

import shlex
from typing import Any

from distillery import commandline
from distillery.experiment import Experiment, Hardware, Stage
from distillery.launch import environment


def npus(hardware: Hardware, stage: Stage) -> int:
    """Devices that a stage takes on each node: none on a CPU, unless `gres` asks a cluster for them."""
    return stage.npus_per_node if hardware.device == "Ascend" or hardware.gres else 0


def line(hardware: Hardware, stage: Stage, name: str, launch: str) -> str:
    """The prefix with its final `-- `, or '' where the command is simply started.

    Args:
        name: a path below logs/ for the ranks' logs: logs/<experiment>/msrun_<stage>.
        launch: how launch.py is started.
    """
    ranks = stage.npus_per_node * hardware.nodes
    if ranks == 1 and not npus(hardware, stage):
        return ""
    several = hardware.nodes > 1
    settings: dict[str, Any] = {
        "workers": stage.npus_per_node,
        "nodes": hardware.nodes if several else None,
        "node_rank": hardware.node_rank if several else None,
        "master_addr": hardware.master_addr if several else None,
        "master_port": hardware.master_port,
        "npus": npus(hardware, stage) or None,
        "cluster_time_out": hardware.msrun["cluster_time_out"],
        "bind_core": hardware.msrun["bind_core"],
        "stall_timeout": hardware.msrun["stall_timeout"],
        "log_dir": name,
    }
    repeated = [word for line in hardware.set_env for word in ("--set-env", line)]
    variables = environment.variables(hardware)
    repeated += [word for pair in variables.items() for word in ("--env", "=".join(pair))]
    return f"{launch} {shlex.join([*commandline.words(settings), *repeated])} -- "


def resources(experiment: Experiment, stage: Stage) -> dict[str, Any]:
    """What a scheduler is asked for: `npu` for Snakemake's own counting, the rest for Slurm's plugin.

    `gres` counts per node. `mpi` keeps the plugin from starting the launcher by srun: it starts itself, once a node.
    """
    hardware = experiment.hardware
    count, nodes = npus(hardware, stage), hardware.nodes
    return {
        "npu": count * nodes,
        "gres": f"{hardware.gres or 'npu'}:{count}" if count else "",
        "nodes": nodes,
        "tasks": nodes,
        "mpi": "srun" if nodes > 1 else "",
    }
