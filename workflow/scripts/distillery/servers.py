"""The servers that a configuration names: what answers instead of the built-in engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distillery import schema

BUILT_IN = ("mindspore", "mindspeed-llm")  # other values of generate.engine are servers' names


def _default(key: str) -> Any:
    return schema.default(f"servers.*.{key}")


@dataclass(frozen=True)
class Server:
    """A server that runs already (`url`), or one that the job starts (`python`); the schema says what each key means."""

    name: str
    url: str | None = None
    model: str | None = None
    base_model: str | None = None
    api_key_env: str | None = None
    engine: str | None = None
    python: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    replicas: int | None = None
    endpoint: str = _default("endpoint")
    concurrency: int = _default("concurrency")
    timeout: float = _default("timeout")
    start_timeout: float = _default("start_timeout")

    @property
    def deciding(self) -> dict[str, Any]:
        """What can change an answer: where the server runs, and how often it is asked at once, cannot."""
        keys = ("engine", "model", "endpoint", "args")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}
