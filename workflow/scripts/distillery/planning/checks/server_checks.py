"""Servers that answer in place of the built-in engine: what they can be asked, and with which weights and keys."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning
from distillery.serving import api_key, dialects


def task(s: Setup) -> Iterator[Finding]:
    """Servers draw, or take the likeliest token: nothing else."""
    chosen = s.generate["task"]
    if s.experiment.tuned_generation.server and chosen not in (*dialects.TASKS, None, "chat"):
        yield error(
            "served-task",
            s.keys("generate.task", "generate.engine"),
            f"{chosen}, by a server",
            " or ".join(dialects.TASKS),
            "choose one of them, or let the built-in engine answer",
        )


def top_k(s: Setup) -> Iterator[Finding]:
    """OpenAI's interface has no top_k."""
    server, found = s.experiment.tuned_generation.server, s.generate
    if server and server.engine == dialects.OPENAI and found["task"] == "do_sample" and found["top_k"]:
        yield error(
            "served-top-k",
            [s.key("generate.top_k"), f"servers.{server.name}.engine"],
            f"{found['top_k']}, of which OpenAI's interface knows nothing",
            "0",
            "set top_k: 0, or say what the server is, if it knows more",
        )


def base(s: Setup) -> Iterator[Finding]:
    """Engines differ in their last bits, and now and then in a token: what is compared should come from one."""
    tuned, original = s.experiment.tuned_generation.server, s.experiment.base_generation.server
    if tuned and not original:
        yield warning(
            "served-base",
            [s.key("generate.engine"), f"servers.{tuned.name}"],
            "tuned answers from a server, those of the original weights from the built-in engine",
            "one engine for both",
            "name the original weights on that server: base_model",
        )


def key(s: Setup) -> Iterator[Finding]:
    """A key goes through networks encrypted, or stays on this machine."""
    server = s.experiment.tuned_generation.server
    if server and server.url and server.api_key_env and api_key.exposed(server.url):
        yield warning(
            "server-key",
            [f"servers.{server.name}.url", f"servers.{server.name}.api_key_env"],
            "a key that is sent without encryption",
            "https, or an address of this machine",
            "give an https address",
        )


CHECKS = (task, top_k, base, key)
