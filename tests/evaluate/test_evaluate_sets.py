"""Several problem sets of one experiment: each with its own settings, places, summary and page."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml
from places import FIXTURES, SCRIPTS

from distillery import artefacts, config, json_files, set_artefacts
from distillery.evaluate import reached
from distillery.launch import commandline
from distillery.planning import checks, fetched_settings
from distillery.planning.experiment_setup import gather
from distillery.problems import Problem
from distillery.report import contents

SMALL = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())


def two(**generate: object) -> dict:
    raw = copy.deepcopy(SMALL)
    raw["problem_sets"]["more"] = {"generator": {"seed": 9, "rows": 5}}
    raw["experiments"]["small"]["problems"] = ["sums-heldout", "more"]
    raw["experiments"]["small"]["generate"] |= generate
    return raw


def test_each_set_has_its_own_settings_and_the_first_ones_stay():
    own = {"num_samples": 4, "temperature": 0.6, "max_new_tokens": 6}
    loaded = config.load(
        two(task="do_sample", temperature=1.0, sets={"more": own}, base={"max_new_tokens": 7})
    )
    experiment = loaded.experiments["small"]
    assert list(experiment.asked) == ["sums-heldout", "more"] and experiment.problems == "sums-heldout"
    first, more = experiment.asked.values()
    assert {key: more.tuned.settings[key] for key in own} == own
    assert (first.tuned.settings["temperature"], first.tuned.settings["num_samples"]) == (1.0, 1)
    assert (first.base.settings["max_new_tokens"], more.base.settings["max_new_tokens"]) == (7, 6)
    assert "--temperature 0.6" in " ".join(commandline.generate(more.tuned))
    assert "--sets" not in commandline.generate(first.tuned)
    # a set of its own changes nothing of the first one's files
    alone = two(task="do_sample", temperature=1.0, base={"max_new_tokens": 7})
    alone["experiments"]["small"]["problems"] = "sums-heldout"
    assert config.load(alone).experiments["small"].asked["sums-heldout"] == first


def test_a_setting_that_the_task_does_not_read_changes_no_answer_and_is_named():
    loaded = config.load(two(sets={"more": {"temperature": 0.6, "num_samples": 2}}))
    assert "temperature" not in loaded.experiments["small"].asked["more"].tuned.settings
    found = {one.id: one.keys for one in checks.run(loaded)}
    assert "experiments.small.generate.sets.more.temperature" in found["greedy-sampling"]
    assert "experiments.small.generate.sets.more.num_samples" in found["greedy-samples"]


def test_places_of_the_first_set_are_the_experiments():
    experiment = config.load(two()).experiments["small"]
    place = set_artefacts.of_set(artefacts.SUMMARY, experiment, "sums-heldout")
    assert place.path == "results/experiments/small/summary.json"
    place = set_artefacts.of_set(artefacts.SUMMARY, experiment, "more")
    assert place.path == "results/experiments/small/sets/more/summary.json"
    assert place.log == "logs/small/sets/more/evaluate_compare.log"
    assert artefacts.quality(experiment).path.endswith("quality-sums-heldout+more-256.json")


def test_a_set_that_is_not_asked_or_not_there_is_taught():
    with pytest.raises(
        Problem, match=r"generate.sets.other: the experiment has no such problem set, it has sums"
    ):
        config.load(two(sets={"other": {"num_samples": 2}}))
    raw = two()
    raw["experiments"]["small"]["problems"] = ["sums-heldout", "absent"]
    with pytest.raises(Problem, match="experiments.small.problems: found 'absent'"):
        config.load(raw)


def test_checks_of_files_know_each_sets_room():
    settings = fetched_settings.of(config.load(two(sets={"more": {"max_new_tokens": 6}})), "small")
    assert settings.prompt_room == {"sums-heldout": {"generate": 248}, "more": {"generate.sets.more": 250}}
    steps = {rule for setup in [gather(config.load(two()), "small")] for rule in setup.problems}
    assert steps == {"sums-heldout", "more"}


def score(name: str, right: bool) -> dict:
    return {
        "id": name,
        "sample": 0,
        "problem_type": "sums",
        "strict": right,
        "lenient": right,
        "stop": "eos",
        "tokens": 5,
        "unfinished_think": False,
        "timed_out": False,
    }


def test_the_summary_is_the_first_sets_and_holds_all(tmp_path):
    def compare(name: str, tuned: list[bool], *flags: str) -> dict:
        folder = tmp_path / name
        folder.mkdir()
        for side, rights in (("base", [False] * len(tuned)), ("tuned", tuned)):
            lines = [json.dumps(score(f"{name}{number}", right)) for number, right in enumerate(rights)]
            (folder / f"{side}.jsonl").write_text("\n".join(lines) + "\n")
        words = ["--base", f"{name}/base.jsonl", "--tuned", f"{name}/tuned.jsonl", *flags]
        words += ["--output", f"{name}/comparison.json", "--summary", f"{name}/summary.json"]
        command = [sys.executable, str(SCRIPTS / "evaluate_compare.py"), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json_files.read(folder / "summary.json")

    more = compare("more", [True, True, False])
    assert "sets" not in more
    both = compare(
        "first", [True] * 4, "--problem-set", "first", "--further-sets", "more=more/comparison.json"
    )
    assert both["sets"]["more"] == {key: value for key, value in more.items() if key != "model-index"}
    assert {key: value for key, value in both.items() if key not in ("sets", "model-index")} == both["sets"][
        "first"
    ]
    rows = contents.sets(both, "first")
    assert [(row["name"], row["page"], row["tuned"]["accuracy"]) for row in rows] == [
        ("first", None, 1.0),
        ("more", "sets/more/report.html", pytest.approx(2 / 3, abs=1e-5)),
    ]
    assert contents.sets(more, "more") == []


def test_what_was_reached_is_said_of_each_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(two(), sort_keys=False))
    for place in ("", "sets/more/"):
        path = tmp_path / f"results/experiments/small/{place}summary.json"
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    found = [(name, page) for name, _, page in reached.run(Namespace(configfile=Path("two.yaml")))]
    assert found == [
        ("small:sums-heldout", "results/experiments/small/report.html"),
        ("small:more", "results/experiments/small/sets/more/report.html"),
    ]
