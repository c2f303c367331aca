"""A sweep of three values, from the scores of its experiments to the table on each one's page, through the real rules."""

from __future__ import annotations

import json
import shutil

import browser
import pytest
import yaml
from lazy import Lazy
from places import FIXTURES

from distillery import config, digests

multitest = Lazy("statsmodels.stats.multitest")


def test_a_sweep_of_three_reaches_its_pages(finished, tmp_path):
    house = finished.copied(tmp_path / "house")
    raw = yaml.safe_load((FIXTURES / "workflow/small.yaml").read_text())
    raw["experiments"]["small"]["sweep"] = {"train.seed": [1, 2, 3]}
    house.configfile.write_text(yaml.safe_dump(raw))
    names = list(config.load(raw).experiments)
    assert len(names) == 3
    results = house.path / "results/experiments"
    # what the finished run left stands for each experiment's own; one of them has all answers right
    for name in names:
        shutil.copytree(results / "small", results / name)
    scores = results / names[1] / "tuned.scores.jsonl"
    rows = [json.loads(line) | {"strict": True, "lenient": True} for line in scores.read_text().splitlines()]
    digests.write_text(scores, "".join(json.dumps(row) + "\n" for row in rows))
    pages = [f"results/experiments/{name}/report.html" for name in names]
    done = house.snakemake(
        "--cores",
        "2",
        "--forcerun",
        "report_page",
        "--allowed-rules",
        "evaluate_sweep",
        "report_page",
        "report_rulegraph",
        "--",
        *pages,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        table = json.loads((results / name / "sweep.json").read_text())
        found = {row["experiment"]: row for row in table["rows"]}
        assert found.keys() == set(names) and table["reference"] == name
        others = [one for one in names if one != name]
        corrected = multitest.multipletests([found[one]["p"] for one in others], method="holm")[1]
        assert [found[one]["p_holm"] for one in others] == pytest.approx(list(corrected), rel=1e-3)
        page = (results / name / "report.html").read_text()
        assert "All experiments of the sweep" in page and all(one in page for one in names)
    first = {
        row["experiment"]: row for row in json.loads((results / names[0] / "sweep.json").read_text())["rows"]
    }
    assert first[names[1]]["sentence"] == "better" and first[names[1]]["p_holm"] == pytest.approx(
        2 * first[names[1]]["p"], rel=1e-3
    )
    assert first[names[2]]["sentence"].startswith("no difference shown at n = 8")
    with browser.opened(tmp_path) as tab:
        for width in (390, 1280):
            assert not tab.open(house.path / pages[0], width).beyond() and not tab.console
