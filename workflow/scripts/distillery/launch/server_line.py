"""What a job that asks a server is started with, and what it wants of a machine: where the server is, which changes no answer."""

from __future__ import annotations

import shlex
from typing import Any

from distillery.experiment import Experiment
from distillery.launch import commandline, prefix
from distillery.servers import Server


def devices(experiment: Experiment) -> int:
    """Devices of each replica that is started: those that hold the weights once; none on a CPU."""
    hardware, layout = experiment.hardware, experiment.generate.layout
    on_devices = hardware.device == "Ascend" or hardware.gres
    return layout.tensor_parallel_size * layout.pipeline_parallel_size if on_devices else 0


def replicas(experiment: Experiment, server: Server) -> int:
    """Servers that are started side by side: as many as fill the node, unless the configuration says how many."""
    each = devices(experiment)
    return server.replicas or (max(1, experiment.generate.npus_per_node // each) if each else 1)


def resources(experiment: Experiment, server: Server) -> dict[str, Any]:
    """What a scheduler is asked for, as `prefix.resources`: the devices of started servers, none for one that runs."""
    count = devices(experiment) * replicas(experiment, server) if server.python else 0
    gres = f"{experiment.hardware.gres or 'npu'}:{count}" if count else ""
    return {"npu": count, "npus_per_node": count, "gres": gres, "nodes": 1, "tasks": 1, "mpi": ""}


def flags(experiment: Experiment | None, server: Server) -> str:
    """The flags of generate_served.py that decide no answer, quoted.

    Args:
        experiment: whose weights are started, and where; one that runs needs none.
    """
    settings: dict[str, Any] = {
        "url": server.url,
        "api_key_env": server.api_key_env,
        "concurrency": server.concurrency,
        "timeout": server.timeout,
    }
    if experiment is None or not server.python:
        return shlex.join(commandline.words(settings))
    settings |= {
        "server_python": server.python,
        "replicas": replicas(experiment, server),
        "devices": devices(experiment),
        "start_timeout": server.start_timeout,
    }
    own = shlex.join(commandline.words(settings))
    return f"{own} {prefix.host(experiment.hardware, 'mindspore')}".rstrip()
