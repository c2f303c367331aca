"""Hubs that serve `fetched_file`."""

import pytest
from fetched_file import NAME, RIGHT
from hub_server import HubServer


@pytest.fixture
def server(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as one:
        one.repo("lab/math", "dataset", {NAME: RIGHT})
        yield one


@pytest.fixture
def mirror():
    with HubServer() as one:
        one.repo("lab/math", "dataset", {NAME: RIGHT})
        yield one
