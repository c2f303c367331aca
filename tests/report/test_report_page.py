"""The report: nothing outside its folder, nothing breaks out of it, and the same files give the same bytes."""

import json
import re
import subprocess
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path

import commands
import numpy as np
import pytest
import report_files
from lazy import Lazy

from distillery import files, json_files
from distillery.problems import Problem
from distillery.report import contents

pytestmark = pytest.mark.slow  # pages with figures

figures, graph_drawing = (Lazy(f"distillery.report.{name}") for name in ("figures", "graph_drawing"))


def report(folder: Path, flags: list[str]) -> subprocess.CompletedProcess:
    return commands.here("report_page.py", *flags, cwd=folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    done = report(folder, report_files.write(folder))
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """Collects tags, links, ids and text."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.links, self.anchors, self.ids, self.text, self.open = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "xlink:href"):
                self.links.append(value)
                self.anchors += [value] * (tag == "a")
            if key == "id":
                self.ids.append(value)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def test_the_page_needs_nothing_outside_itself(made):
    text = (made / "report.html").read_text()
    page = Page(text)
    beside = {link for link in page.links if not link.startswith(("#", "data:"))}
    parts = {f"report/{path.name}" for path in (made / "report").iterdir() if path.is_file()}
    rows = json.loads((made / "report/digests.json").read_text())
    # each is linked, and what the page was made of, which is asked for only by a click; nothing else
    read = beside - parts
    assert parts < beside and read <= set(page.anchors) and all((made / link).is_file() for link in read)
    assert {Path(link).name for link in read} == {
        row["file"] for row in rows if not row["role"].startswith("samples of")
    }
    # two of ours run, one holds the curve's values; the hostile generation stays text
    assert page.tags.count("script") == 3 and "img" not in page.tags
    assert not re.search(r"url\((?!#)|@import", text)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert page.tags.count("svg") == 7


def test_the_page_says_what_the_comparison_says(made):
    text = " ".join(" ".join(Page((made / "report.html").read_text()).text).split())
    summary = json_files.read(made / "summary.json")
    assert "The tuned model is better" in text and summary["verdict"] == "better"
    for side in ("base", "tuned"):
        assert f"{summary[side]['accuracy']:.1%}" in text
    assert report_files.HOSTILE in text
    assert (
        "rejected.odd number of messages 2" in text.replace(". ", ".")
        and files.sha256(made / "base.jsonl") in text
    )


def test_parts_lie_beside_the_page_and_are_whole(made):
    parts = {path.name for path in (made / "report").iterdir()}
    assert parts == {
        "accuracy.svg",
        "behaviour.json",
        "budgets.json",
        "budgets.svg",
        "chances.json",
        "digests.json",
        "examples.json",
        "families.json",
        "flips.json",
        "groups.json",
        "lengths.svg",
        "loss.svg",
        "mixed_quality.json",
        "plan.json",
        "published.json",
        "quality.json",
        "resources.json",
        "resources.svg",
        "rows.svg",
        "rulegraph.svg",
        "selection.json",
        "sweep.json",
        "answers",
        "temml.min.js",
    }
    for path in (made / "report").glob("*.svg"):
        xml.etree.ElementTree.parse(path)
        assert "var(--" not in path.read_text()
    comparison = json_files.read(made / "comparison.json")
    flips = json.loads((made / "report/flips.json").read_text())
    assert [row["id"] for row in flips] == comparison["paired"]["lost"] + comparison["paired"]["gained"]
    families = json.loads((made / "report/families.json").read_text())
    assert families[0]["family"] == "all" and len(families) == 5
    kinds = {row["kind"] for row in json.loads((made / "report/examples.json").read_text())}
    assert kinds == {"gained", "lost", "wrong in both", "right in both"}


def test_what_jobs_used_is_a_table_and_a_course(made):
    found = json_files.read(made / "report/resources.json")
    rows = {(row["job"], row["measure"]): (row["unit"], row["mean"], row["peak"]) for row in found["rows"]}
    # 1 s up to 300 MB, 3 s up to 700 MB; the first look says nothing of CPU use
    assert rows["train, node 0", "memory of all processes"] == ("MB", (300 + 3 * 700) / 4, 700)
    assert rows["train, node 0", "CPU, 100 for each busy core"] == ("%", (90 + 3 * 190) / 4, 190)
    assert rows["train, node 0", "HBM of the fullest chip"] == ("MB", (5000 + 3 * 3000) / 4, 5000)
    assert rows["train, node 0", "AI core, mean of chips"] == ("%", 40, 40)
    assert rows["train, node 0", "power of all chips"] == ("W", 90, 90)
    assert ("train, node 0", "temperature of the hottest chip") not in rows
    assert rows["train, node 1", "memory of all processes"] == ("MB", 100, 100)  # one sample, no time
    assert found["courses"][0]["seconds"] == [0, 1, 4] and found["missing"] == ["generate base"]
    text = " ".join((made / "report.html").read_text().split())
    assert "No samples of generate base: the job ran elsewhere" in text
    assert files.sha256(made / "train.samples.jsonl") in text


def test_a_report_without_any_samples_says_so(tmp_path):
    flags = report_files.write(tmp_path)
    (tmp_path / "train.samples.jsonl").write_text("not ours\n")
    (tmp_path / "train.samples.node1.jsonl").unlink()
    assert report(tmp_path, flags).returncode == 0
    assert "No samples of train, generate base" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "report/resources.svg").exists()
    assert report(tmp_path, [*flags, "nonsense"]).returncode == 2


def test_what_the_second_engine_said_is_shown_where_it_was_asked(made, tmp_path):
    flags = report_files.write(tmp_path)
    (tmp_path / "answer.txt").write_text("how are you?\n\n<b>fine</b>\n")
    assert report(tmp_path, [*flags, "--mindspeed-answer", "answer.txt"]).returncode == 0
    shown = "".join(Page((tmp_path / "report.html").read_text()).text)
    assert "how are you?\n\n<b>fine</b>" in shown
    assert "answer to its own question" not in (made / "report.html").read_text()


def test_same_files_same_bytes(made, tmp_path):
    assert report(tmp_path, report_files.write(tmp_path)).returncode == 0
    for path in [
        Path("report.html"),
        *(p.relative_to(made) for p in (made / "report").rglob("*") if p.is_file()),
    ]:
        assert (tmp_path / path).read_bytes() == (made / path).read_bytes(), path


def test_missing_inputs_are_named(tmp_path):
    flags = report_files.write(tmp_path)
    (tmp_path / "train/work/metrics.jsonl").unlink()
    done = report(tmp_path, flags)
    assert done.returncode == 1 and "metrics.jsonl" in done.stderr and not (tmp_path / "report.html").exists()
    (tmp_path / "data.json").unlink()
    assert "--data-manifest" in report(tmp_path, flags).stderr


def test_running_mean_is_the_mean_of_the_last_steps():
    values = np.arange(1.0, 301.0)
    mean = figures.running_mean(values)
    assert mean[0] == 1 and mean[-1] == pytest.approx(np.mean(values[-6:])) and len(mean) == 300


def test_rules_are_layered_below_their_inputs():
    graph = graph_drawing.parse(report_files.DOT)
    rows = graph_drawing.layers(graph)
    depth = {node: number for number, row in enumerate(rows) for node in row}
    assert all(depth[a] < depth[b] for a, b in graph.edges)
    # make_shard -> finetune and make_model -> compare jump over a layer: a waypoint each
    assert [len(row) for row in rows] == [1, 2, 2, 1]
    assert {node for row in rows for node in row if isinstance(node, str)} == set(graph.rules)
    drawing = graph_drawing.draw(report_files.DOT)
    assert drawing.count("<rect") == 4 and drawing.count("<path") == 5
    with pytest.raises(Problem, match="circle"):
        graph_drawing.draw('"a" -> "b";\n"b" -> "a";')
    with pytest.raises(Problem, match="no rules"):
        graph_drawing.draw("digraph {}")


def test_flat_tables_keep_every_scalar_but_no_walls_of_text():
    assert contents.flat({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}]}) == [
        ("a.b", 1),
        ("a.c", "1, 2"),
        ("d.0.e", None),
    ]
    assert len(contents.flat({"t": "x" * 1000})[0][1]) < 250
    json.dumps(contents.flat({"a": 1}))
