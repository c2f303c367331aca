"""The page on a telephone and on a desk: all its tables and texts, the sweep's too, and nothing beyond its edge."""

import json

import browser
import commands
import pytest
import report_files

from distillery import files
from distillery.evaluate import comparison, sweep_comparison


@pytest.mark.slow
def test_the_page_of_a_benchmark_in_a_sweep_fits_every_width(tmp_path):
    flags = report_files.write(tmp_path)
    (tmp_path / "problems.parquet").rename(tmp_path / "math-500.parquet")
    flags[flags.index("problems.parquet")] = "math-500.parquet"
    sides = {}
    for side in ("base", "tuned"):
        sides[side] = [dict(row) for row in report_files.judged(side, 12)[1]]
        for number, row in enumerate(sides[side]):
            row |= {"source": f"a-source-of-problems-{number % 3}", "level": f"{number % 4 + 1}"}
        (tmp_path / f"{side}.scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in sides[side]))
    compared = comparison.compare(sides["base"], sides["tuned"], 0)
    files.write_json(tmp_path / "comparison.json", compared)
    files.write_json(tmp_path / "summary.json", comparison.summary(compared))
    names = ["small-lr0.001-seed1", "small-lr0.001-seed2", "small-lr0.003-seed1-and_a_long_name_of_it"]
    of_sweep = dict(zip(names, (sides["tuned"], sides["base"], sides["tuned"]), strict=True))
    files.write_json(tmp_path / "sweep.json", sweep_comparison.compare(of_sweep, names[0], 0))
    done = commands.here("report_page.py", *flags, "--sweep", "sweep.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report.html").read_text()
    for part in (
        "All experiments of the sweep",
        "a-source-of-problems-2",
        names[2],
        "What to look at",
    ):
        assert part in text
    with browser.opened(tmp_path) as tab:
        for width in (390, 1280):
            assert tab.open(tmp_path / "report.html", width).beyond() == []
            assert tab.faults() == [] and not tab.console
