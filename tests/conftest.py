"""Fixtures that several test files share."""

from __future__ import annotations

import pytest
from house import House
from places import FIXTURES, ROOT
from qwen import qwen_tokenizer  # noqa: F401


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project with the small experiment run to its report."""
    house = House(tmp_path_factory.mktemp("finished"), FIXTURES / "workflow" / "small.yaml")
    house.run()
    return house


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The project with its default experiment run to its report: a minute of training on two cores."""
    house = House(tmp_path_factory.mktemp("embedded"), ROOT / "config" / "config.yaml")
    house.run()
    return house
