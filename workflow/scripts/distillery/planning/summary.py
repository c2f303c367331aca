"""What the plan said of one experiment, as JSON: for the report, where the run is set beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from distillery.experiment import Config
from distillery.planning import estimate
from distillery.planning.experiment_setup import gather
from distillery.planning.finding import Finding


def of(config: Config, name: str, findings: Iterable[Finding]) -> dict[str, Any]:
    """`{"estimate": Estimate, "findings": [Finding]}` with the findings of this experiment."""
    return {
        "estimate": asdict(estimate.of(gather(config, name))),
        "findings": [asdict(one) for one in findings if name in one.experiments],
    }
