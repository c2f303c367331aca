"""What stands before a job's command where it runs on devices, on several ranks or on several nodes.

    line(experiment, "train", ["python", "workflow/scripts/launch.py"])
    # 'python workflow/scripts/launch.py --workers 8 --npus 8 ... -- '     or '' on one CPU

Nothing here decides a result: the prefix is a resource of the rule, not a param, so that another port,
time-out or number of ranks does not make finished training stale.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from distillery.experiment import Experiment
from distillery.hardware import Hardware
from distillery.launch import commandline, environment

RESOURCES = ("npu", "npus_per_node", "gres", "nodes", "tasks", "mpi")


def resources(experiment: Experiment, stage: str, engine: str = "mindspore") -> dict[str, Any]:
    """What a scheduler is asked for; `stage` is `train` or `generate`, `engine` what runs it.

    `npu` counts for all nodes and is Snakemake's own; `npus_per_node` is for submit commands; `gres`, per node
    too, is for Slurm's plugin. `mpi` keeps Slurm's
    plugin from starting the launcher by srun: on several nodes it starts itself, once on each.
    """
    hardware, nodes = experiment.hardware, _nodes(experiment, stage)
    count = _npus(experiment, stage, engine)
    return {
        "npu": count * nodes,
        "npus_per_node": count,
        "gres": f"{hardware.gres or 'npu'}:{count}" if count else "",
        "nodes": nodes,
        "tasks": nodes,
        "mpi": "srun" if nodes > 1 else "",
    }


def threads(experiment: Experiment, stage: str, engine: str = "mindspore") -> int:
    """CPU threads of all the ranks that a job has on a node."""
    return experiment.hardware.threads * workers(experiment, stage, engine)


def line(experiment: Experiment, stage: str, launch: Sequence[str]) -> str:
    """The prefix of a command of ours, quoted, with its final `-- `, or '' where the command is simply started.

    Args:
        launch: the words that start launch.py.
    """
    if experiment.hardware.device == "CPU" and not _npus(experiment, stage):
        ranks = workers(experiment, stage) * _nodes(experiment, stage)
        if ranks == 1:
            return ""
    return f"{shlex.join(launch)} {flags(experiment, stage)} -- "


def flags(experiment: Experiment, stage: str, engine: str = "mindspore") -> str:
    """The launch flags of a stage that decide no result; MindSpeed-LLM's commands take them themselves."""
    hardware, nodes = experiment.hardware, _nodes(experiment, stage)
    settings: dict[str, Any] = {
        "workers": workers(experiment, stage, engine),
        "npus": _npus(experiment, stage, engine) or None,
        "master_port": hardware.master_port,
        "cluster_time_out": hardware.msrun["cluster_time_out"],
        "bind_core": hardware.msrun["bind_core"],
        "stall_timeout": hardware.msrun["stall_timeout"],
        # answers are kept one by one: they need no time to save
        "grace": hardware.msrun["grace"] if stage == "train" else None,
    }
    if nodes > 1:
        settings |= {"nodes": nodes, "node_rank": hardware.node_rank, "master_addr": hardware.master_addr}
    return f"{shlex.join(commandline.words(settings))} {host(hardware, engine)}".rstrip()


def host(hardware: Hardware, engine: str = "mindspeed-llm") -> str:
    """The launch flags that name the environment, and the second engine's home: all that a job without devices needs."""
    home = [] if engine == "mindspore" else commandline.words(dict(hardware.mindspeed_llm or {}))
    scripts = [f"--set-env={script}" for script in hardware.set_env]
    variables = [("--env", "=".join(pair)) for pair in environment.variables(hardware).items()]
    variables += [
        ("--node-env", f"{node}:{name}={value}")
        for node, own in hardware.node_environment.items()
        for name, value in own.items()
    ]
    return shlex.join([*home, *scripts, *(word for pair in variables for word in pair)])


def _nodes(experiment: Experiment, stage: str) -> int:
    # the built-in engine answers on one node
    return experiment.hardware.nodes if stage == "train" else 1


def workers(experiment: Experiment, stage: str, engine: str = "mindspore") -> int:
    """Ranks on each node: copies of the model fill its devices, to train together or to share the prompts.

    MindSpeed-LLM answers a single question, by one copy.
    """
    if stage == "train":
        return experiment.train.npus_per_node
    layout = experiment.generate.layout
    one = layout.tensor_parallel_size * layout.pipeline_parallel_size
    return one * (max(1, experiment.generate.npus_per_node // one) if engine == "mindspore" else 1)


def _npus(experiment: Experiment, stage: str, engine: str = "mindspore") -> int:
    """Devices on each node: none on a CPU, unless `gres` asks a cluster for them."""
    hardware = experiment.hardware
    return workers(experiment, stage, engine) if hardware.device == "Ascend" or hardware.gres else 0
