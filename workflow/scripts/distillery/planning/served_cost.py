"""What answers of a server take of a plan: devices of those that are started, and disk; how fast servers are is not known."""

from __future__ import annotations

from distillery.artefacts import Artefact
from distillery.experiment import Generation
from distillery.launch import server_line
from distillery.planning.experiment_setup import Setup
from distillery.planning.plan_step import Step


def step(
    s: Setup, name: str, rule: str, generation: Generation, made: Artefact, bytes_per_token: int
) -> Step:
    """Answers of one model, which the step keeps in `made`."""
    assert generation.server is not None
    taken = server_line.resources(s.experiment, generation.server)["npu"]
    problems, settings = s.problem_rows(generation.problems), generation.settings
    new = None if problems is None else problems * settings["num_samples"] * settings["max_new_tokens"]
    size = None if new is None else new * bytes_per_token
    files = made.path, made.benchmark
    return Step(name, (rule,), generation.server.name, *files, taken, disk_bytes=size, tokens=new)
