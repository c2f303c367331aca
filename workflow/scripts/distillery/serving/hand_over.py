"""Serve an experiment's export by the engine that is installed, for whoever wants to ask it by hand."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT

from distillery import artefacts, config
from distillery.experiment import Config
from distillery.generate import signals
from distillery.launch import environment, server_line
from distillery.problems import Problem, UsageProblem
from distillery.serving import dialects, started
from distillery.serving.started import Wanted

# modules by which each engine is known to be installed, the one that serves best first
ENGINES = {
    dialects.VLLM: ("vllm",),
    dialects.SGLANG: ("sglang",),
    dialects.TRANSFORMERS: ("transformers", "torch", "fastapi", "uvicorn", "openai", "accelerate"),
}
LOOK = "import importlib.util as u, sys; sys.exit(any(u.find_spec(one) is None for one in sys.argv[1:]))"
START_SECONDS, POLL_SECONDS = 1800.0, 0.5


def run(args: argparse.Namespace) -> None:
    """Start the server that generate_serve.py's flags name, print how it is asked, and hold it until Ctrl-C.

    Raises:
        Problem: nothing is exported, no engine is installed, or it does not start.
    """
    wanted = _wanted(config.read(args.configfile), args.experiment, args.python)
    # also where a shell that starts it in the background has it ignored
    with signals.delivered(SIGINT), started.running(wanted) as replicas:
        try:  # who reads the line may interrupt at once
            print(question(replicas.urls[0], wanted.model), flush=True)
            while True:
                replicas.check()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return


def question(url: str, model: str) -> str:
    """The line of a shell that asks a server."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Solve for x: x / 4 = 1749"}],
        "max_tokens": 76,
    }
    words = [
        "curl",
        f"{url}/v1/chat/completions",
        "-H",
        "Content-Type: application/json",
        "-d",
        json.dumps(body),
    ]
    return shlex.join(words)


def _wanted(loaded: Config, name: str | None, python: str | None) -> Wanted:
    """The server that the experiment names, or one of whatever engine this interpreter, or `python`, has."""
    if name is None and len(loaded.experiments) == 1:
        (name,) = loaded.experiments
    if name not in loaded.experiments:
        raise UsageProblem(
            "which experiment?",
            where="--experiment",
            found=name or "none",
            wanted=", ".join(loaded.experiments),
            fix="say make serve EXPERIMENT=NAME",
        )
    experiment = loaded.experiments[name]
    load = Path(artefacts.EXPORTED.at(experiment=name))
    if not load.is_file():
        raise Problem("nothing is exported yet", where=load, fix="run the experiment first: make run")
    named = experiment.tuned_generation.server
    logs = Path(artefacts.EXPORTED.of(experiment=name).log).with_suffix(".servers")
    own = tuple(experiment.hardware.set_env), environment.variables(experiment.hardware)
    if named and named.python and not python:
        on = server_line.devices(experiment)
        return Wanted(
            str(named.engine), named.python, load.parent, named.args, 1, on, logs, named.start_timeout, *own
        )
    python = python or sys.executable
    on = server_line.devices(experiment)
    return Wanted(installed(python), python, load.parent, {}, 1, on, logs, START_SECONDS, *own)


def installed(python: str) -> str:
    """The engine that an interpreter's environment has.

    Raises:
        Problem: it has none.
    """
    for engine, modules in ENGINES.items():
        if subprocess.run([python, "-c", LOOK, *modules], check=False).returncode == 0:
            return engine
    raise Problem(
        "no engine that serves is installed there",
        where=python,
        wanted="; ".join(f"{engine} ({', '.join(modules)})" for engine, modules in ENGINES.items()),
        fix="install one in an environment of its own, and say make serve SERVER=/path/to/its/python",
    )
