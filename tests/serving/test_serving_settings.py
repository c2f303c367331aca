"""Servers in a configuration: what is refused, and what of them makes answers other answers."""

from __future__ import annotations

import copy
import socket
from typing import Any

import pytest
import yaml
from places import FIXTURES

from distillery import config
from distillery.launch import commandline, server_line
from distillery.planning.checks import machine_checks
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
RUNNING = {"url": "http://10.0.0.9:8000", "model": "tuned"}
STARTED = {"engine": "vllm", "python": "/opt/vllm/bin/python"}


def loaded(server: dict[str, Any], name: str = "mine", **generate: Any) -> config.Config:
    raw = copy.deepcopy(SMALL)
    raw["servers"] = {name: server}
    raw["experiments"]["small"]["generate"] |= {"engine": name, **generate}
    return config.load(raw)


@pytest.mark.parametrize(
    "server, name, words",
    [
        (
            {**RUNNING, **STARTED},
            "mine",
            "servers.mine: found url, python, wanted exactly one of python, url",
        ),
        ({"model": "x"}, "mine", "wanted exactly one of python, url"),
        ({"url": "http://x"}, "mine", "'model' is a dependency of 'url'"),
        ({"python": "/x"}, "mine", "'engine' is a dependency of 'python'"),
        (RUNNING, "mindspore", "servers.mindspore: the name of an engine"),
        ({**RUNNING, "api_key": "sk-1"}, "mine", "servers.mine.api_key: unknown key"),
    ],
)
def test_what_is_no_server(server, name, words):
    with pytest.raises(Problem) as problem:
        loaded(server, name)
    assert words in str(problem.value)


def test_an_engine_that_no_server_is():
    with pytest.raises(Problem) as problem:
        loaded(RUNNING, engine="mimi")
    assert "experiments.small.generate.engine: found 'mimi', but servers has only mine" in str(problem.value)


def names(server: dict[str, Any]) -> tuple[str, str]:
    experiment = loaded(server).experiments["small"]
    return experiment.tuned_generation.name, experiment.base_generation.name


def test_answers_are_named_by_what_decides_them():
    built_in = config.load(SMALL).experiments["small"]
    tuned, base = names(RUNNING)
    assert base == built_in.base_generation.name and tuned != built_in.tuned_generation.name
    where = {
        "url": "https://elsewhere/v1",
        "concurrency": 3,
        "timeout": 5,
        "api_key_env": "KEY",
        "replicas": 2,
    }
    assert names({**RUNNING, **where}) == (tuned, base)
    for other in ({"model": "x"}, {"endpoint": "chat"}, {"engine": "vllm"}):
        assert names({**RUNNING, **other})[0] != tuned
    assert names({**RUNNING, "base_model": "base"})[1] not in (tuned, base)
    assert names(STARTED)[0] == names({**STARTED, "python": "/another"})[0]
    assert names(STARTED)[0] != names({**STARTED, "args": {"dtype": "float32"}})[0]


def test_lines_say_where_apart_from_what():
    """What decides stands in the rule's params, where the server is in its resources; the key stands in neither."""
    experiment = loaded({**RUNNING, "api_key_env": "KEY"}).experiments["small"]
    generation = experiment.tuned_generation
    assert " ".join(commandline.served(generation)) == (
        "--prompt-type qwen_math_r1 --seq-length 256 --task greedy --max-new-tokens 8 --num-samples 1 --seed 42 "
        "--served-model tuned --endpoint completions"
    )
    where = "--url http://10.0.0.9:8000 --api-key-env KEY --concurrency 64 --timeout 1800.0"
    assert server_line.flags(experiment, generation.server) == where
    assert server_line.resources(experiment, generation.server)["npu"] == 0


def test_started_servers_take_the_devices_of_their_node():
    raw = copy.deepcopy(SMALL)
    raw["servers"] = {"mine": {**STARTED, "args": {"max_model_len": 256}}}
    raw["hardware"] = {"npus": {"device": "Ascend", "npus_per_node": 8, "set_env": ["/opt/set_env.sh"]}}
    raw["experiments"]["small"] |= {"hardware": "npus"}
    raw["experiments"]["small"]["generate"] = {
        "engine": "mine",
        "layout": {"tensor_parallel_size": 2, "pipeline_parallel_size": 1},
    }
    experiment = config.load(raw).experiments["small"]
    generation = experiment.tuned_generation
    wanted = server_line.resources(experiment, generation.server)
    assert (wanted["npu"], wanted["gres"], wanted["nodes"]) == (8, "npu:8", 1)
    flags = server_line.flags(experiment, generation.server)
    assert "--replicas 4 --devices 2" in flags and "--set-env=/opt/set_env.sh" in flags
    assert '--server-engine vllm --server-args {"max_model_len":256}' in " ".join(
        commandline.served(generation)
    )


def test_a_plan_says_that_a_server_is_away_now():
    """It may be started until answers are asked for: a warning, which the command that asks makes an error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        setup = gather(loaded({**RUNNING, "url": url}), "small")
        assert list(machine_checks.servers(setup)) == []
    (found,) = machine_checks.servers(setup)
    assert (found.id, found.severity) == ("server-away", "warning") and "takes no connection" in found.found
    assert list(machine_checks.servers(gather(loaded(STARTED), "small"))) == []
