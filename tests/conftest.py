"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures_qwen import qwen_tokenizer  # noqa: F401
from house import ROOT, House

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project with the small experiment run to its report."""
    house = House(tmp_path_factory.mktemp("finished"), DATA / "workflow" / "small.yaml")
    house.run()
    return house


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project with its default experiment run to its report: a minute of training on two cores."""
    house = House(tmp_path_factory.mktemp("embedded"), ROOT / "config" / "config.yaml")
    house.run()
    return house
