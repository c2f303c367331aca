"""What the report shows as the field does: chances of several answers, groups, published numbers, budgets, flips, sweeps."""

import json
from functools import cache
from html.parser import HTMLParser

import commands
import pytest
import report_files

from distillery import catalogue, files, json_files
from distillery.evaluate import comparison, measures, sweep_comparison
from distillery.report import benchmarks, contents

pytestmark = pytest.mark.slow  # pages with figures


@cache
def samples(name: str) -> list[dict]:
    """Four answers to each of twelve problems of two sources and three levels."""
    rows = []
    for problem in range(12):
        for sample in range(4):
            right = (problem + sample) % 4 == 0 if name == "base" else (problem + sample) % 3 != 0
            row = {
                "id": f"p{problem}",
                "sample": sample,
                "problem_type": "sums",
                "strict": right,
                "lenient": right,
            }
            row |= {
                "source": f"s{problem % 2}",
                "level": f"{problem % 3 + 1}",
                "boxed": "1" if right else "2",
            }
            row |= {
                "stop": "length" if sample == 3 else "eos",
                "unfinished_think": sample == 3,
                "timed_out": False,
            }
            rows.append(row | {"tokens": 40 * (sample + 1), "gold": "1"})
    return rows


@pytest.fixture(scope="module")
def compared() -> dict:
    return comparison.compare(samples("base"), samples("tuned"), 0)


def test_chances_of_several_answers_have_their_intervals(compared):
    rows = {row["measure"]: row for row in benchmarks.chances(compared)}
    assert list(rows) == ["pass@1", "pass@2", "pass@4", "maj@2", "maj@4"]
    assert rows["pass@1"]["base"]["value"] == 0.25 and rows["pass@4"]["base"]["value"] == 1.0
    for row in rows.values():
        for side in ("base", "tuned"):
            low, high = row[side]["interval"]
            assert low <= row[side]["value"] <= high


def test_score_py_says_the_same_on_a_terminal(compared):
    lines = measures.lines(samples("base"))
    low, high = compared["base"]["interval"]
    assert lines[0].startswith(f"pass@1 25.0% ({low:.1%} to {high:.1%}), pass@2 50.0% (")
    assert "maj@4" in lines[0] and lines[1] == (
        "thinking never closed 25.0%, stopped by 75.0% eos, 25.0% length, tokens mean 100, median 100, p90 160, max 160"
    )
    assert [line.split(":")[0] for line in lines[2:]] == [
        "source s0",
        "source s1",
        "level 1",
        "level 2",
        "level 3",
    ]
    assert (
        lines[2].startswith("source s0: 24 answers, pass@1 25.0% (")
        and "thinking never closed 25.0%" in lines[2]
    )
    assert "pass@4 100.0% (61.0% to 100.0%)" in lines[2] and "maj@4 0.0% (0.0% to 39.0%)" in lines[2]
    assert measures.lines([row | {"scorable": False} for row in samples("base")]) == []


def test_groups_are_those_that_tell_problems_apart(compared):
    rows = benchmarks.groups(compared)
    assert [(row["by"], row["group"], row["n"]) for row in rows] == [
        ("source", "s0", 24),
        ("source", "s1", 24),
        ("level", "1", 16),
        ("level", "2", 16),
        ("level", "3", 16),
    ]
    assert rows[0]["base"]["cut"] == rows[0]["tuned"]["unfinished_think"] == 0.25
    assert rows[0]["base"]["tokens"] == 100 and rows[0]["base"]["lengths"]["p90"] == 160
    assert rows[0]["base"]["stops"] == {"eos": 0.75, "length": 0.25}
    assert rows[0]["most"] == ["pass@4", "maj@4"] and rows[0]["base"]["chances"]["pass@4"]["value"] == 1.0
    assert rows[0]["tuned"]["chances"].keys() == {"pass@1", "pass@2", "pass@4", "maj@2", "maj@4"}


@pytest.mark.parametrize(
    "name, known",
    [
        ("math-500", "math500"),
        ("MATH_500", "math500"),
        ("aime-2024", "aime24"),
        ("aime25", "aime25"),
        ("amc2023", "amc23"),
        ("gsm8k", "gsm8k"),
        ("sums-heldout", None),
    ],
)
def test_published_numbers_are_found_by_the_sets_name_and_say_where_they_were_read(name, known):
    rows = benchmarks.published(name)
    listed = json_files.read(benchmarks.PUBLISHED)
    assert len(rows) == len(listed["sets"].get(known, []))
    assert bool(rows) is (known is not None)
    for row in rows:
        assert row["where"].startswith("https://") and 0 < row["pass@1"] < 100 and row["how"]


def test_every_benchmark_that_comes_with_the_project_has_published_numbers_of_base_and_reference():
    listed = json_files.read(benchmarks.PUBLISHED)
    for name in catalogue.entries()["problem_sets"].keys() - {"champ-heldout"}:
        models = {row["model"] for row in benchmarks.published(name)}
        assert len(models) >= 2, name
        # where the base model has no number, the report says so
        said = benchmarks.unpublished(name)
        assert bool(said) is ("Qwen2.5-Math-7B" not in models), name
        assert not said or "Qwen2.5-Math-7B" in said
    assert {row["source"] for rows in listed["sets"].values() for row in rows} == listed["sources"].keys()


class Text(HTMLParser):
    """All text of a page, and how often each tag was opened and closed."""

    def __init__(self, page: str):
        super().__init__()
        self.text, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "br", "wbr", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def page(folder, flags) -> str:
    done = commands.here("report_page.py", *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    parsed = Text((folder / "report.html").read_text())
    assert not parsed.open  # every table and fold is closed
    return " ".join(" ".join(parsed.text).split())


def test_the_page_of_a_benchmark_in_a_sweep(tmp_path):
    flags = report_files.write(tmp_path)
    (tmp_path / "problems.parquet").rename(tmp_path / "aime25.parquet")
    flags[flags.index("problems.parquet")] = "aime25.parquet"
    own = report_files.judged("tuned", 12)[1]
    other = report_files.judged("base", 12)[1]
    files.write_json(
        tmp_path / "sweep.json", sweep_comparison.compare({"small": own, "e-lr2": other}, "small", 0)
    )
    text = page(tmp_path, [*flags, "--sweep", "sweep.json"])
    for words in (
        "Beside published results",
        "OpenR1-Qwen-7B 40.0% lighteval; neither sampling nor the number of samples is said https://huggingface.co/open-r1/OpenR1-Qwen-7B",
        "base, here",
        "No number of the base model Qwen2.5-Math-7B stands here",
        "Accuracy by tokens",
        "All experiments of the sweep",
        "this experiment",
    ):
        assert words in text
    assert text.index("small 83.3%") < text.index("e-lr2 25.0%")  # best first
    flips = json.loads((tmp_path / "report/flips.json").read_text())
    assert flips and all(set(row["texts"]) == {"base", "tuned"} for row in flips)
    assert json.loads((tmp_path / "report/sweep.json").read_text())["reference"] == "small"


def test_the_page_has_pass_and_maj_of_all_samples_of_each_group(tmp_path, compared):
    flags = report_files.write(tmp_path)
    own = json.loads((tmp_path / "comparison.json").read_text())
    files.write_json(
        tmp_path / "comparison.json", own | {key: compared[key] for key in ("groups", "samples")}
    )
    text = page(tmp_path, flags)
    side = "right pass@4 maj@4 unclosed cut tokens"
    assert (
        f"base tuned answers {side} {side} source s0 24 25.0% 100.0% 0.0% 25.0% 25.0% 100 66.7% 100.0% 83.3%"
        in text
    )


def test_no_difference_at_small_n_is_said_with_the_n_that_would_show_it(tmp_path):
    flags = report_files.write(tmp_path)
    tuned = [dict(row) for row in report_files.judged("base", 12)[1]]
    tuned[1]["strict"] = True
    compared = comparison.compare(report_files.judged("base", 12)[1], tuned, 0)
    files.write_json(tmp_path / "comparison.json", compared)
    files.write_json(tmp_path / "summary.json", comparison.summary(compared))
    text = page(tmp_path, flags)
    needed = compared["paired"]["power"]["needed"]
    assert "No difference shown at n = 12: " in text
    assert f"a difference of this size would show at n = {needed}." in text
    assert "Beside published results" not in text and "All experiments of the sweep" not in text


def test_long_answers_are_shown_by_their_end_and_what_is_left_out_is_counted():
    assert contents.end("short") == "short"
    shown = contents.end("x" * contents.ENDING + "the end")
    assert shown.startswith("… (7 characters before)") and shown.endswith("the end")
