"""Hubs as the doctor asks them: where fetching would ask, and with what each answers."""

from __future__ import annotations

import socket
import subprocess
import sys

import yaml
from places import ROOT

from distillery import config
from distillery.doctor import reach


def test_a_hub_out_of_reach_is_red_and_one_that_answers_anything_is_green():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{one.getsockname()[1]}"
        assert reach.hub("x", [silent], seconds=1).state == "fail"
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT / "tests/fixtures",
    )
    try:
        address = server.stdout.readline().split("(")[1].split(")")[0]
        assert reach.hub("x", [address]).state == "ok"
        assert reach.hub("x", [silent, address]).state == "ok"  # the second mirror is enough
        assert reach.hub("x", [f"{address}nothing-here"]).found.endswith("404")
    finally:
        server.terminate()
        server.wait()


def test_hubs_are_asked_where_fetching_would_ask(monkeypatch):
    raw = yaml.safe_load((ROOT / "config/qwen2.5-math-7b.yaml").read_text())
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.delenv("MODELSCOPE_ENDPOINT", raising=False)
    monkeypatch.delenv("MODELSCOPE_DOMAIN", raising=False)
    assert set(reach.hubs(config.load(raw)).values()) == {
        ("https://www.modelscope.cn",),
        ("https://mirror.example",),
    }
    raw["datasets"]["openr1-math-220k"]["source"]["hub"]["endpoints"] = [
        "https://a.example",
        "https://b.example",
    ]
    assert ("https://a.example", "https://b.example") in reach.hubs(config.load(raw)).values()
    assert reach.hubs(config.load({**raw, "offline": True})) == {}
