"""The page over all experiments: scores, stages, sweeps and differing settings, from files as a run leaves them; in a real browser."""

import json

import browser
import commands
import pytest
import report_files
from lazy import Lazy

from distillery import files
from distillery.evaluate import comparison, sweep_comparison

overview_page = Lazy("distillery.report.overview_page")

NAMES = ("first", "second", "many-lr0.001-seed1", "many-lr0.003-seed1-and_a_long_name_of_it")
TRICKS = "</script><b>\x1b[31m"


def settings(name: str) -> dict:
    train = {"lr": 0.003 if "0.003" in name else 0.001, "seed": 1}
    data = [{"name": "sums", "weight": 1}, {"name": "more", "weight": 2}] if name == "first" else "sums"
    model = {"experiment": "first"} if name == "second" else f"tiny{TRICKS}"
    return {"model": model, "dataset": data, "problems": ["sums-heldout"], "train": train}


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    folder = tmp_path_factory.mktemp("overview")
    scores = {name: report_files.judged("tuned" if n % 2 else "base", 12)[1] for n, name in enumerate(NAMES)}
    words = {"summary": [], "plan": [], "report": []}
    rows = [
        {
            "quantity": "tokens of train",
            "unit": "tokens",
            "estimate": 1.0,
            "measured": 1_638_000,
            "error": None,
        },
        {"quantity": "time of train", "unit": "s", "estimate": 1.0, "measured": 0.6, "error": None},
    ]
    for name in NAMES:
        compared = comparison.compare(scores["first"], scores[name], 0)
        files.write_json(folder / f"{name}.summary.json", comparison.summary(compared))
        files.write_json(folder / f"{name}.plan.json", {"rows": rows, "findings": []})
        for key in words:
            words[key].append(f"{name}={name}.{key}.{'html' if key == 'report' else 'json'}")
    files.write_json(
        folder / "sweep.json",
        sweep_comparison.compare({name: scores[name] for name in NAMES[2:]}, NAMES[2], 0),
    )
    line = ["--settings-json", json.dumps({name: settings(name) for name in NAMES})]
    line += [word for key, said in words.items() for word in (f"--{key}", *said)]
    return folder, [*line, "--sweep", "many=sweep.json", "--output", "overview.html"]


@pytest.mark.slow
def test_it_compares_experiments_stages_and_sweeps(flags):
    folder, line = flags
    done = commands.here("report_overview.py", *line, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "4 experiments on 1 problem sets" in done.stdout
    found = json.loads((folder / "overview.json").read_text())
    assert [one["way"] for one in found["stages"]] == [["first", "second"]]
    assert {row["key"] for row in found["differences"]} >= {"train.lr", "dataset", "model.experiment"}
    assert "train.seed" not in {row["key"] for row in found["differences"]}
    with browser.opened(folder) as tab:
        for width, scheme in ((1280, "light"), (390, "dark")):
            tab.open(folder / "overview.html", width, scheme)
            assert tab.beyond() == [] and tab.faults() == [] and not tab.console
        tab.open(folder / "overview.html", 720, "light", "print")
        assert tab.cut() == []
        said = tab.run("document.body.innerText")
        for words in (
            "first → second",
            "1.64 M",
            "0.6 s",
            "more",
            TRICKS.replace("\x1b", "\\x1b"),
            "train.lr",
            NAMES[3],
        ):
            assert words in said.replace("\u200b", ""), words
        links = tab.run("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))")
        assert {f"{name}.report.html" for name in NAMES} <= set(links)


def test_files_of_other_experiments_are_refused(flags):
    folder, line = flags
    done = commands.here("report_overview.py", *line, "--plan", "first=first.plan.json", cwd=folder)
    assert done.returncode == 2 and "not of the same experiments" in done.stderr


def test_chains_are_stages_in_their_order():
    found = {
        name: {"model": {"experiment": before} if before else "m"}
        for name, before in {"c": "b", "a": None, "b": "a", "d": "a", "e": None}.items()
    }
    assert overview_page.chains(found) == [["a", "b", "c"], ["a", "d"]]
