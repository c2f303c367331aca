"""The machines that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distillery import schema


@dataclass(frozen=True)
class Hardware:
    """One kind of node; memory in GiB, speed in 10^12 operations a second, None where config says nothing."""

    name: str
    device: str
    threads: int
    nodes: int
    npus_per_node: int
    node_rank: int
    master_addr: str
    master_port: int
    chip: str | None = None
    memory_gib: float | None = None
    peak_tflops: float | None = None
    host_memory_gib: float | None = None
    msrun: Mapping[str, Any] = field(default_factory=dict)
    runtime: int = schema.default("hardware.*.runtime")
    set_env: tuple[str, ...] = ()
    environment: Mapping[str, str | int] = field(default_factory=dict)
    node_environment: Mapping[str, Mapping[str, str | int]] = field(default_factory=dict)
    deterministic: bool = schema.default("hardware.*.deterministic")
    mindspeed_llm: Mapping[str, str] | None = None
    gres: str | None = None

    @property
    def framework(self) -> str:
        """MindSpeed-LLM's back end: `mindspore`, the guide's, or `pytorch`, upstream's main line."""
        return (self.mindspeed_llm or {}).get("framework", "mindspore")

    @property
    def mindspeed_version(self) -> str | None:
        """MindSpeed-LLM's version as `mindspeed_llm.version` names it; None is the guide's."""
        return (self.mindspeed_llm or {}).get("version")
