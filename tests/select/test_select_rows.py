"""Rows are left out by filters: counts and rows on a corpus whose truth is known, and what tokenization makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import preprocess_data
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import select_rows
import tokenize_quality
from places import ROOT
from tokenize_runs import TAGS

from distillery import json_files
from distillery.problems import Problem
from distillery.tokenize import merge

MODEL = ROOT / "config/examples/data/model"
SHAREGPT = ["--handler-name", "SharegptStyleInstructionHandler"]
SHAREGPT += ["--map-keys", json.dumps({"messages": "messages", "tags": TAGS})]
KNOWN = "A farmer has seventeen sheep and all but nine run away in the night so how many are left"


def thought(answer: str) -> str:
    return f"<think>\nI see.\n</think>\n\nIt is \\boxed{{{answer}}}."


def row(name: str, question: str, text: str, answer: str | None = "4", **more: object) -> dict:
    said = {"uuid": name, "answer": answer, "source": "a", "problem": question, "correctness_count": 1}
    said |= {"generations": [text], "correctness_math_verify": [True], "is_reasoning_complete": [True]}
    return (
        said
        | {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": text}]}
        | more
    )


NONE = {"correctness_math_verify": None}


def judged(*right: bool, **more: object) -> dict:
    """Columns of a problem with several answers, all whole."""
    return {"correctness_math_verify": [*right], "is_reasoning_complete": [True] * len(right), **more}


HARD = judged(True, *[False] * 7, generations=[thought("4"), "5"] * 4)
# what is said of another generation is not said of this one
OTHER = {"generations": ["none of it"], "correctness_math_verify": [False]}
WHEELS = "So So So how many wheels has a tricycle that stands in the yard of the old red house by the"
# of one problem several answers: the first row has all of them, and its pass rate is the problem's
RARE = judged(True, False, False, False, generations=[thought("4"), "5", "6", "7"])
TWO = judged(True, False, generations=[thought("4"), thought("5")])
# the filter that leaves rows out, and these rows
LEFT_OUT = [
    (None, row("kept", "What is two plus two, told in one word?", thought("4"))),
    ("closed_thoughts", row("open", "What is the root of sixteen?", "<think>\nI never end")),
    ("closed_thoughts", row("again", "What is the square of two?", f"{thought('4')}\n<think> or is it")),
    ("boxed_answer", row("bare", "How many legs has a horse?", "<think>\nI see.\n</think>\n\n4")),
    ("pass_rate", row("hard", "How many seasons has a year?", thought("4"), **HARD)),
    ("pass_rate", row("mute", "How many suits are there?", thought("4"), correctness_count=None, **NONE)),
    ("scripts", row("han", "二加二等于几？请用一个字回答这个问题。", thought("4"))),
    ("overlap", row("leak", f"Listen! {KNOWN}, tell me.", thought("4"))),
    ("tokens", row("short", "x", "<think></think>\\boxed{4}")),
    ("tokens", row("long", "Say it at length, please: " + "word " * 400, thought("4"))),
    ("right_answer", row("told", "How many sides has a square, my dear?", thought("4"), **judged(False))),
    ("right_answer", row("wrong", "How many corners has a square, my dear?", thought("5"), **NONE)),
    ("right_answer", row("gold", "How many corners has a triangle, my dear?", thought("5"), None, **NONE)),
    # half a character is no text, and stops nothing
    ("right_answer", row("half", "How many corners has a hexagon, my dear?", thought("5"), "\ud800", **NONE)),
    (None, row("other", "How many wheels has a car, my dear?", thought("4"), **OTHER)),
    # and the answer is compared as scores are
    (None, row("equal", "How much is eight halves, my dear?", thought("8/2"), "$4$", **NONE)),
    ("exact_duplicates", row("same", "WHAT is two plus two , told in one word?", thought("4"))),
    (None, row("near", f"{WHEELS} river?", thought("4"))),
    ("near_duplicates", row("nearly", f"{WHEELS} rivers?", thought("4"))),
    ("max_per_source", row("third", "Which number follows three, my friend?", thought("4"))),
    (None, row("b", "Which number precedes five, my friend?", thought("4"), source="b")),
    (
        "pass_rate",
        row("few", "What is the fourth part of sixteen, my friend?", thought("4"), source="c", **RARE),
    ),
    (
        "pass_rate",
        row("few", "What is the fourth part of 16, dear friend of mine?", thought("4"), source="c"),
    ),
    (None, row("two", "What is the cube root of sixty-four, my friend?", thought("4"), source="c", **TWO)),
    (None, row("two", "What is the cube root of 64, dear friend of mine?", thought("4"), source="c")),
    # what the column says is not judged again
    (None, row("trusted", "Which number is four, more or less, my friend?", thought("5"), source="d")),
]
CORPUS = [(one, by) for by, one in LEFT_OUT]
FILTERS = ["--closed-thoughts", "--boxed-answer", "--min-pass-rate", "0.5", "--max-pass-rate", "1"]
FILTERS += ["--scripts", "Latin", "--overlap-words", "10", "--min-tokens", "40", "--max-tokens", "400"]
FILTERS += ["--right-answer", "--exact-duplicates", "--near-duplicates", "--max-per-source", "4"]
TOKENS = ["--tokenizer-name-or-path", str(MODEL), "--prompt-type", "qwen"]


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[list[Path], Path]:
    """The corpus as two files of a kind each, and a problem set."""
    rows = [one for one, _ in CORPUS]
    files = [tmp_path / "a.parquet", tmp_path / "b.jsonl"]
    pq.write_table(pa.Table.from_pylist([*rows[:9], {**rows[9], "messages": []}]), files[0])
    files[1].write_text("".join(f"{json.dumps(one)}\n" for one in rows[9:]))
    problems = tmp_path / "sheep.parquet"
    pq.write_table(pa.Table.from_pylist([{"uuid": "p", "problem": KNOWN}]), problems)
    return files, problems


def select(files: list[Path], problems: Path, out: Path, *filters: str) -> tuple[dict, list[dict]]:
    flags = ["--input", *files, "--problems", problems, *SHAREGPT, *TOKENS, *filters]
    flags += ["--output", out / "left.jsonl", "--card", out / "card.json"]
    select_rows.main(select_rows.parser().parse_args(list(map(str, flags))))
    lines = (out / "left.jsonl").read_text().splitlines()
    return json_files.read(out / "card.json"), [json.loads(line) for line in lines][1:]


@pytest.mark.slow
def test_each_filter_leaves_out_what_it_should(corpus, tmp_path):
    files, problems = corpus
    card, left = select(files, problems, tmp_path, *FILTERS)
    # the tenth row of the first file cannot be used, and is tokenization's to tell
    truth = [(one["uuid"], why) for one, why in CORPUS if why]
    assert [(one["uuid"], one["filter"]) for one in left] == truth
    counts = {one["filter"]: one["rows"] for one in card["left_out"]}
    assert counts == {name: sum(why == name for _, why in truth) for name in counts} and len(counts) == 10
    assert (card["rows"], card["unusable"], card["kept"]) == (27, 1, 26 - len(truth))
    (shown,) = (one["samples"] for one in card["left_out"] if one["filter"] == "overlap")
    assert shown[0]["detail"] == "sheep: p" and shown[0]["question"].startswith("Listen! A farmer")
    by = {one["uuid"]: one["detail"] for one in left}
    assert by["hard"] == "0.125" and by["same"] == "as a.parquet:0" and by["wrong"] == "5, the gold is 4"
    assert left[0]["row"] == 1 and left[0]["file"] == "a.parquet"


@pytest.mark.parametrize(
    "flag", ["--closed-thoughts", "--near-duplicates", "--max-per-source 3", "--min-tokens 40"]
)
def test_a_filter_that_is_not_asked_for_leaves_nothing_out(corpus, tmp_path, flag):
    files, problems = corpus
    card, left = select(files, problems, tmp_path, *flag.split())
    assert [one["filter"] for one in card["left_out"]] == [left[0]["filter"]] and card["kept"] == 26 - len(
        left
    )


def test_words_of_a_stretch_are_configured(corpus, tmp_path):
    files, problems = corpus
    tail = " ".join(KNOWN.split()[-9:])
    extra = tmp_path / "c.jsonl"
    extra.write_text(json.dumps(row("tail", f"Well, {tail}?", thought("4"))) + "\n")
    for words, found in (("8", ["leak", "tail"]), ("9", ["leak", "tail"]), ("10", ["leak"])):
        _, left = select([*files, extra], problems, tmp_path, "--overlap-words", words)
        assert [one["uuid"] for one in left] == found


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_workers(corpus, tmp_path):
    files, problems = corpus
    made = []
    for count in ("1", "3"):
        out = tmp_path / count
        out.mkdir()
        select(files, problems, out, *FILTERS, "--workers", count)
        made.append([path.read_bytes() for path in sorted(out.glob("*.json*"))])
    assert made[0] == made[1]


def tokenized(files: list[Path], out: Path, *more: str) -> dict:
    for path in files:
        flags = ["--input", path, "--output-prefix", out / path.stem, *SHAREGPT, *TOKENS, *more]
        preprocess_data.main(preprocess_data.parser().parse_args(list(map(str, flags))))
    return merge.merge([out / path.stem for path in files], out / "d")


@pytest.mark.slow
def test_what_is_left_out_is_not_tokenized_and_counted(corpus, tmp_path):
    files, problems = corpus
    card, left = select(files, problems, tmp_path, *FILTERS)
    made = tokenized(files, tmp_path, "--left-out", str(tmp_path / "left.jsonl"), "--workers", "2")
    assert made["dropped"]["left_out"]["count"] == len(left)
    assert (made["rows"], made["kept"], made["rejected"]["count"]) == (27, card["kept"], 1)
    uuids = pq.read_table(tmp_path / "d_rows.parquet").column("uuid").to_pylist()
    assert uuids == [one["uuid"] for one, why in CORPUS if why is None]
    flags = [
        "--data-prefix",
        tmp_path / "d",
        "--input",
        *files,
        "--problems",
        problems,
        "--output",
        tmp_path / "q.json",
    ]
    chosen = [
        "--left-out",
        tmp_path / "left.jsonl",
        "--selection",
        tmp_path / "card.json",
        "--overlap-words",
        "10",
    ]
    tokenize_quality.main(tokenize_quality.parser().parse_args(list(map(str, [*flags, *chosen]))))
    quality = json_files.read(tmp_path / "q.json")
    assert quality["selection"] == card and quality["overlap"]["sheep"]["rows"] == 0
    assert (quality["unclosed_think"]["rows"], quality["exact_duplicate"]["rows"]) == (0, 0)
    with pytest.raises(Problem, match="not the selection that the dataset was made with"):
        tokenize_quality.main(tokenize_quality.parser().parse_args(list(map(str, flags))))


def test_a_file_of_which_nothing_is_left_ends_nothing(corpus, tmp_path):
    files, problems = corpus
    late = tmp_path / "z.jsonl"
    late.write_text(json.dumps(CORPUS[0][0]) + "\n")
    select([*files, late], problems, tmp_path, "--exact-duplicates")
    made = tokenized([*files, late], tmp_path, "--left-out", str(tmp_path / "left.jsonl"))
    assert made["dropped"]["left_out"]["count"] == 2 and made["documents"] == 25


def test_rows_of_other_files_and_nothing_left_are_told(corpus, tmp_path):
    files, problems = corpus
    select(files[:1], problems, tmp_path, "--closed-thoughts")
    with pytest.raises(Problem, match=r"rows were chosen from other files(?s:.*)a\.parquet"):
        tokenized(files, tmp_path, "--left-out", str(tmp_path / "left.jsonl"))
    with pytest.raises(Problem, match=r"no row is left(?s:.*)26 by tokens"):
        select(files, problems, tmp_path / "never", "--min-tokens", "100000")
    assert not (tmp_path / "never").exists()
    with pytest.raises(Problem, match="a column is not there"):
        select(files, problems, tmp_path, "--max-per-source", "1", "--source-column", "nowhere")


def test_rows_that_are_held_out_are_passed_over(corpus, tmp_path):
    files, problems = corpus
    hold = json.dumps({"one_in": 3, "columns": ["problem"], "alike": 1})
    card, left = select(files, problems, tmp_path, *FILTERS, "--hold-out", hold)
    made = tokenized(files, tmp_path, "--left-out", str(tmp_path / "left.jsonl"), "--hold-out", hold)
    assert 0 < card["held_out"] == made["dropped"]["held_out"]["count"] and made["kept"] == card["kept"]
    assert made["dropped"]["left_out"]["count"] == len(left)
