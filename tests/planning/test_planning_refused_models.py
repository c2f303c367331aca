"""A plan names the key of config.json that nothing here can compute, before anything runs."""

import json

import pytest
from planning_configs import SEVEN, findings

from distillery.planning import known_models

CONFIG = dict(known_models.known("mistralai/Mistral-7B-v0.3").config)


@pytest.mark.parametrize(
    ("change", "id", "named"),
    [
        ({"model_type": "mixtral"}, "model-sizes", "model_type"),
        ({"hidden_act": "gelu"}, "model-sizes", "hidden_act"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "model-sizes", "rope_scaling, rope_type"),
        ({"sliding_window": 1024}, "context", "at most 1024, sliding_window of config.json"),
    ],
)
def test_it_names_the_key(tmp_path, change, id, named):
    def errors(config):
        (tmp_path / "config.json").write_text(json.dumps(config))
        local = {"c/models/qwen2.5-math-7b": {"path": {"path": str(tmp_path)}}, "e/seq_length": 2048}
        return [str(one) for one in findings(SEVEN, local) if one.id == id and one.severity == "error"]

    assert errors(CONFIG) == []
    found = errors(CONFIG | change)
    assert found and all(named in one for one in found), found
