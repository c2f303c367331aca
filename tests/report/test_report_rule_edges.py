"""The graph of rules: what a longer way implies is left out, and experiments that teach one another make no circle of it."""

from __future__ import annotations

from lazy import Lazy

from distillery.report.rule_edges import reduced

graph_drawing = Lazy("distillery.report.graph_drawing")


def test_what_a_longer_way_implies_is_left_out():
    ways = {("shard", "tokenize"), ("tokenize", "train"), ("shard", "train"), ("model", "train")}
    assert reduced(ways) == ways - {("shard", "train")}


def test_a_student_and_its_teacher_are_drawn_without_a_circle():
    round_ = {
        ("generate_teacher_answers", "fetch_teacher_shard"),
        ("fetch_teacher_shard", "tokenize_shard"),
        ("fetch_generated_shard", "tokenize_shard"),
        ("tokenize_shard", "train"),
        ("train", "report_page"),
    }
    found = reduced({*round_, ("train", "generate_teacher_answers"), ("fetch_teacher_shard", "report_page")})
    assert found == round_
    dot = "".join(f'"{a}" -> "{b}";\n' for a, b in sorted(found))
    assert graph_drawing.draw(dot).count("<rect") == 6


def test_a_rule_that_reads_what_it_made_of_another_dataset_leads_on():
    ways = {("fetch_path_shard", "select_rows"), ("select_rows", "tokenize_shard")}
    assert reduced({*ways, ("select_rows", "select_rows")}) == ways


def test_a_teacher_that_is_not_of_the_circle_keeps_its_edges():
    ways = {("train", "generate_teacher_answers"), ("generate_teacher_answers", "fetch_teacher_shard")}
    assert reduced(ways) == ways
