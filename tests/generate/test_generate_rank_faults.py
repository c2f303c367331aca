"""Ranks that cannot answer together: one that computes otherwise or is gone, and layouts that do not fit."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from types import SimpleNamespace

import pytest
from generate_models import inference

from distillery.engine import driver
from distillery.engine.mesh import Mesh
from distillery.problems import Problem

pytestmark = pytest.mark.mindspore


def build(connection: Connection) -> None:
    """As rank 0, whose model is of another kind than any the other rank makes."""
    driver.Driver(Mesh(), [connection]).build(lambda mesh, slots, longest: SimpleNamespace(), 1, 2)


def test_a_rank_that_computes_otherwise_or_is_gone_is_noticed():
    ours, theirs = Pipe()

    def rank() -> None:
        with theirs, suppress(Problem):  # for rank 0 ends early
            driver.follow(theirs, lambda slots, longest: slots)

    other = threading.Thread(target=rank)
    other.start()
    with ours, pytest.raises(Problem, match="compute alike"):
        build(ours)
    other.join(10)
    ours, theirs = Pipe()
    theirs.close()
    with ours, pytest.raises(Problem, match="another rank ended"):
        build(ours)


def refused(*more: object, processes: int = 2) -> str:
    words = ["--prompt", "hi", "--prompt-type", "qwen_math_r1", *more]
    done = inference(*words, env={**os.environ, "MS_WORKER_NUM": str(processes)})
    assert done.returncode == 2, done.stderr
    return done.stderr


def test_layouts_that_do_not_fit_are_refused_before_the_ranks_meet(odd):
    two = ["--load", odd, "--pipeline-model-parallel-size", 2]
    greedy = ["--task", "greedy"]
    text = refused(*two, *greedy, processes=3)
    assert "TP 1 x PP 2 on 3 processes" in text and "one process merges" in text
    assert "copies of the model share prompts" in refused("--load", odd, *greedy)
    assert "TP 1 x PP 2 on 1 process\n" in refused(*two, *greedy, processes=1)
    assert "no terminal" in refused(*two, "--task", "chat")
    assert "sum 3" in refused(*two, *greedy, "--num-layer-list", "2,2")
    many = refused("--load", odd, *greedy, "--tensor-model-parallel-size", 4, processes=4)
    assert "divisor of 6" in many
