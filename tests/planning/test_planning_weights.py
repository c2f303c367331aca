"""Weights that are rounded for answers: a key of `generate` alone, and part of what answers are named by."""

from __future__ import annotations

import pytest
from planning_configs import SEVEN, changed

from distillery import config
from distillery.launch import commandline
from distillery.problems import Problem


def test_rounded_weights_are_of_answers_alone_and_name_them_anew():
    with pytest.raises(Problem, match="weights"):
        config.load(changed(SEVEN, {"e/train/weights": "int8"}))
    stored, said, rounded = (
        next(iter(config.load(changed(SEVEN, each)).experiments.values())).tuned_generation
        for each in ({}, {"e/generate/weights": "stored"}, {"e/generate/weights": "int8"})
    )
    assert stored.name == said.name != rounded.name
    assert commandline.generate(rounded) == [
        *(words := commandline.generate(stored))[: (at := commandline.generate(rounded).index("--weights"))],
        "--weights",
        "int8",
        *words[at:],
    ]
