"""Teachers in a configuration: who stands behind whom, what is asked, what it is called, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from places import FIXTURES

from distillery import config, teachers
from distillery.launch import commandline
from distillery.planning import estimate
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem
from distillery.verify import served_results, standing

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
URL = {"url": "https://teacher.example/v1", "model": "r1"}


def taught(run: list[str] | None = None, **teacher: Any) -> dict[str, Any]:
    """The small experiment as `small`, and a `student` of what a teacher answers to new problems."""
    raw = copy.deepcopy(SMALL)
    raw["problem_sets"]["new"] = {"generator": {"seed": 7, "rows": 12, "part": "training"}}
    raw["servers"] = {"there": URL, "mine": {"engine": "vllm", "python": "/opt/vllm/bin/python"}}
    said = {
        "problems": "new",
        **({} if {"server", "experiment"} & teacher.keys() else {"experiment": "small"}),
        **teacher,
    }
    raw["datasets"]["taught"] = {
        "source": {"teacher": {key: value for key, value in said.items() if value is not None}}
    }
    raw["experiments"]["student"] = {**copy.deepcopy(raw["experiments"]["small"]), "dataset": "taught"}
    return {**raw, "run": run} if run else raw


def teacher(**said: Any) -> teachers.Teacher:
    return teachers.of(config.load(taught(**said)), "taught")


def words(one: teachers.Teacher) -> str:
    make = commandline.served if one.generation.server else commandline.generate
    return " ".join(make(one.generation))


def test_an_experiment_answers_as_it_answers_its_own_problems_but_for_what_is_said():
    one = teacher(samples=3, seed=5)
    assert words(one) == (
        "--prompt-type qwen_math_r1 --seq-length 256 --task do_sample --max-new-tokens 8 --micro-batch-size 16 "
        "--num-samples 3 --seed 5 --temperature 0.6 --top-k 0 --top-p 0.95 --device CPU --threads 1"
    )
    greedy = words(teacher(temperature=0, samples=1, max_new_tokens=9))
    assert (
        "--task greedy --max-new-tokens 9" in greedy
        and "--temperature" not in greedy
        and "--top" not in greedy
    )


def test_a_server_alone_is_asked_at_its_chat_endpoint_without_a_template_of_ours():
    one = teacher(server="there", max_new_tokens=99, instruction="Box it.")
    assert words(one) == (
        "--task do_sample --num-samples 4 --seed 42 --temperature 0.6 --top-k 0 --top-p 0.95 --max-new-tokens 99 "
        "--instruction Box it. --served-model r1 --endpoint chat"
    )


def test_a_server_with_an_experiment_is_asked_with_the_ids_of_its_template():
    one = teacher(experiment="small", server="mine")
    assert "--prompt-type qwen_math_r1" in words(one) and "--server-engine vllm" in words(one)
    assert one.who == "small" and "--endpoint completions" in words(one)


def test_what_is_selected_brings_its_teachers_along():
    raw = taught(run=["student"])
    raw["datasets"]["again"] = {"source": {"teacher": {"experiment": "student", "problems": "new"}}}
    raw["experiments"]["second"] = {**raw["experiments"]["small"], "dataset": "again"}
    assert list(config.load(raw).experiments) == ["small", "student"]
    assert list(config.load({**raw, "run": ["second"]}).experiments) == ["small", "student", "second"]
    assert list(config.load({**raw, "run": ["small"]}).experiments) == ["small"]


def test_teachers_that_are_asked_the_same_share_their_answers():
    own = teacher()
    for same in (
        {"keep": "one_right"},
        {"thoughts": "drop"},
        {"pass_rate": {"at_most": 0.5}},
        {"max_requests": 99},
    ):
        alike = teacher(**same)
        assert (alike.name == own.name) == ("max_requests" not in same)
    names = [
        teacher(**said).name
        for said in (
            {},
            {"seed": 1},
            {"samples": 2},
            {"shards": 2},
            {"temperature": 1},
            {"max_new_tokens": 7},
        )
    ]
    assert len(set(names)) == len(names)


def test_a_budget_is_a_number_of_whole_problems():
    assert teacher().most is None
    assert teacher(samples=4, max_requests=11).most == 2
    assert teacher(samples=4, max_new_tokens=10, max_tokens=130, max_requests=400).most == 3


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"experiment": None, "server": None}, ": experiment or server missing"),
        ({"server": "mine", "max_new_tokens": 9}, ".server: a server that the job starts has no weights"),
        ({"server": "there"}, ".max_new_tokens: missing, and no experiment"),
        ({"temperature": 0}, ".samples: found 4, wanted 1 at temperature 0"),
        (
            {"pass_rate": {"at_least": 0.9, "at_most": 0.5}},
            ".pass_rate: found at_least 0.9 above at_most 0.5",
        ),
        ({"max_requests": 3}, ".max_requests: found 3, wanted at least the 4 samples"),
        ({"max_tokens": 31}, ".max_tokens: found 31, wanted at least 32"),
        ({"max_tokens": 39, "max_new_tokens": 10}, ".max_tokens: found 39, wanted at least 40"),
        ({"experiment": "mimi"}, ".experiment: found 'mimi', but experiments has only small, student"),
        ({"server": "mimi"}, ".server: found 'mimi', but servers has only mine, there"),
        ({"problems": "mimi"}, ".problems: found 'mimi', but problem_sets has only new, sums-heldout"),
    ],
)
def test_no_teacher(said, fault):
    with pytest.raises(Problem) as problem:
        config.load(taught(**said))
    assert f"datasets.taught.source.teacher{fault}" in str(problem.value)


def test_a_circle_of_experiments_is_told_once_with_its_way():
    raw = taught(experiment="small")
    raw["datasets"]["back"] = {"source": {"teacher": {"experiment": "student", "problems": "new"}}}
    raw["experiments"]["small"]["dataset"] = "back"
    with pytest.raises(Problem) as problem:
        config.load(raw)
    assert str(problem.value).count("circle") == 1
    way = "experiments.small: learns from student, which learns from small: a circle"
    assert way in str(problem.value)


def test_an_experiment_that_teaches_itself_or_its_tokenizer_is_a_circle():
    raw = taught(experiment="student")
    with pytest.raises(Problem, match="experiments.student: learns from student: a circle"):
        config.load(raw)
    raw = taught(experiment="small")
    raw["models"]["tiny"]["random"]["tokenizer"]["dataset"] = "taught"  # of which small's model is made
    with pytest.raises(Problem, match="experiments.small: learns from small: a circle"):
        config.load(raw)


def test_a_plan_says_what_the_teacher_is_asked_and_an_experiment_stands_on_its_answers():
    loaded = config.load(taught(samples=2, shards=2, max_requests=20))
    found = estimate.of(gather(loaded, "student"))
    (step,) = [one for one in found.steps if one.name == "ask teacher"]
    assert step.rules == ("generate_teacher_answers",) and step.tokens == 10 * 2 * 8 and step.seconds > 0
    assert found.assumptions["teacher"] == "20 questions at most"
    assert not [one for one in estimate.of(gather(loaded, "small")).steps if one.name == "ask teacher"]
    paths = {str(one.path) for one in standing.of(loaded, "student")}
    name = teachers.of(loaded, "taught").name
    assert {f"results/teachers/{name}/0000{n}-of-00002.jsonl" for n in (0, 1)} <= paths
    assert "resources/datasets/taught.pass_rates/train-00001-of-00002.parquet.json" in paths


def test_an_experiment_stands_on_the_teachers_of_all_datasets_of_a_mix():
    raw = taught()
    raw["experiments"]["student"]["dataset"] = [{"name": one, "weight": 1} for one in ("sums", "taught")]
    loaded = config.load(raw)
    paths = {str(one.path) for one in standing.of(loaded, "student")}
    assert paths >= {*standing.teacher_answers(teachers.of(loaded, "taught"))}
    assert "resources/datasets/taught.pass_rates/train-00000-of-00001.parquet.json" in paths


def test_a_plan_of_a_server_says_its_questions():
    loaded = config.load(taught(server="there", max_new_tokens=50))
    (step,) = [one for one in estimate.of(gather(loaded, "student")).steps if one.name == "ask teacher"]
    assert (step.engine, step.rules) == ("there", ("generate_teacher_answers_foreign",))
    assert step.tokens == 12 * 4 * 50 and step.seconds is None


def test_a_set_of_the_catalogue_can_be_asked():
    loaded = config.load(taught(server="there", max_new_tokens=50, problems="gsm8k"))
    assert "gsm8k" in loaded.problem_sets


OWN = "results/experiments/student"
# of the student, by who taught: what a second run may make otherwise
FOLLOWS = {
    "resources/datasets/taught/train-00000-of-00001.parquet": "there mine",
    "resources/datasets/taught.pass_rates/train-00000-of-00001.parquet.json": "there mine",
    "resources/datasets/sums/train-00000-of-00002.parquet": "",
    "resources/models/tiny/config.json": "",
    f"{OWN}/train/iter_0000004/state.json": "there mine",
    f"{OWN}/hf/model.safetensors": "there mine",
    f"{OWN}/tuned.scores.jsonl": "there mine answers",
    f"{OWN}/summary.json": "there mine answers",
    "results/experiments/small/hf/model.safetensors": "",
    "results/experiments/second/hf/model.safetensors": "there mine",
    "results/checkpoints/student+tuned/fp32-tp2-pp1/manifest.json": "there mine",
}


@pytest.mark.parametrize("who", ["there", "mine", "answers", "small"])
def test_what_follows_from_a_servers_answers_may_differ_in_a_second_run(who):
    said = {
        "there": {"server": "there", "max_new_tokens": 9},
        "mine": {"server": "mine", "experiment": "small"},
    }
    raw = taught(**said.get(who, {}))
    if who == "answers":
        raw["experiments"]["student"]["generate"]["engine"] = "mine"
    second = raw["experiments"]["student"] | {"model": {"experiment": "student"}, "dataset": "sums"}
    raw["experiments"]["second"] = {key: one for key, one in second.items() if key != "tokenize"}
    loaded = config.load(raw)
    free = served_results.of(loaded)
    assert {name for name in FOLLOWS if free(name)} == {
        name for name, by in FOLLOWS.items() if who in by.split()
    }
    (answers,) = standing.teacher_answers(teachers.of(loaded, "taught"))
    assert free(answers) == (who in ("there", "mine"))
