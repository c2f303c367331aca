"""Compiled graphs of composed ops are reused by later runs, and never for anything else."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import forked
import pytest
from generate_models import answers
from safetensors.numpy import load_file, save_file

from distillery.engine import graph_cache

pytestmark = pytest.mark.mindspore


def asked(
    model: Path, cache: Path, output: Path, *more: object, origin: str = "one"
) -> tuple[list[int], dict[str, int], int]:
    """(tokens of the answer, {kept graph: when it was written}, how many were taken).

    Runs of one origin are forked from one process: addresses of Python's functions in a kept graph are right for these
    only, so whoever takes a graph must have another origin than who made it.
    """
    words = [
        "--load",
        model,
        "--prompt",
        "1 + 2 = ?",
        "--prompt-type",
        "qwen_math_r1",
        "--kernels",
        "composed",
    ]
    words += ["--task", "greedy", "--max-new-tokens", 12, "--threads", 1, "--output", output, *more]
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "GLOG_v": "2", forked.ANOTHER: origin}
    done = forked.run("inference.py", *words, env=env)
    assert done.returncode == 0, done.stderr
    graphs = {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in cache.rglob("*.mindir")}
    reused = done.stderr.count("Use the compilation cache")
    (row,) = answers(output)
    return row["tokens"], graphs, reused


@pytest.fixture(scope="module")
def begun(tiny, tmp_path_factory) -> tuple[Path, list[int], dict[str, int]]:
    """What a first run leaves, to be copied: (the cache, its answer, its graphs)."""
    folder = tmp_path_factory.mktemp("graphs")
    first, graphs, reused = asked(tiny, folder / "cache", folder / "1.jsonl", origin="another")
    assert len(graphs) == 2 and reused == 0
    return folder / "cache", first, graphs


def test_a_second_run_reuses_the_graphs_of_the_first(begun, tiny, odd, tmp_path):
    made, first, graphs = begun
    cache = shutil.copytree(made, tmp_path / "cache")
    assert asked(tiny, cache, tmp_path / "2.jsonl") == (first, graphs, 2)
    # other weights of the same shape: the graphs hold no values
    other = tmp_path / "other"
    other.mkdir()
    for path in tiny.iterdir():
        if path.suffix != ".safetensors":
            os.link(path, other / path.name)
    weights = {name: array[::-1].copy() for name, array in load_file(tiny / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    fresh, _, none = asked(other, tmp_path / "elsewhere", tmp_path / "3.jsonl")
    assert asked(other, cache, tmp_path / "4.jsonl") == (fresh, graphs, 2) and none == 0 and fresh != first
    # a length that needs as many rows of the cache, one that needs more, another model
    assert asked(tiny, cache, tmp_path / "5.jsonl", "--max-new-tokens", 11) == (first[:11], graphs, 2)
    longer, more, reused = asked(tiny, cache, tmp_path / "6.jsonl", "--max-new-tokens", 100)
    assert longer[:12] == first and len(more) == 4 and reused == 0
    assert len(asked(odd, cache, tmp_path / "7.jsonl")[1]) == 6


def test_what_was_not_used_for_longest_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    home, now = tmp_path / "distillery" / "graphs", time.time()
    hours = {f"{age:02d}-hours": age for age in range(1, graph_cache.KEPT + 4)}
    for name, age in {**hours, "just-used": 0}.items():
        (home / name).mkdir(parents=True)
        (home / name / "graph.mindir").touch()
        os.utime(home / name, (now - age * 3600 - 60,) * 2)
    os.utime(home / "just-used")
    with graph_cache.kept("an identity"):
        Path(os.environ[graph_cache.WHERE]).mkdir()
    left = {path.name for path in home.iterdir()}
    assert len(left) == graph_cache.KEPT and "just-used" in left
    assert left.issuperset(sorted(hours)[: graph_cache.KEPT - 2])


@pytest.mark.faults
@pytest.mark.parametrize("share", [0, 0.5])
def test_a_damaged_graph_is_made_anew(begun, tiny, tmp_path, share):
    made, first, graphs = begun
    cache = shutil.copytree(made, tmp_path / "cache")
    path = cache / sorted(graphs)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    tokens, made, reused = asked(tiny, cache, tmp_path / "2.jsonl")
    assert (tokens, reused) == (first, 0) and made.keys() == graphs.keys()
    assert asked(tiny, cache, tmp_path / "3.jsonl", origin="another") == (first, made, 2)
