"""Prompt files, streamed text and tasks: what generation needs besides a model."""

import argparse
import json

import inference
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distillery.engine.generation import Stopping
from distillery.experiment import Generation
from distillery.generate import prompts, tasks
from distillery.generate.stream import DIM, FOLDED, RESET, Characters, Thoughts, Until
from distillery.generate.tasks import Task, seed_of
from distillery.launch import commandline
from distillery.problems import Problem, UsageProblem


def lines(path, *rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_prompts_come_from_parquet_and_json_lines_alike(tmp_path):
    table = {"uuid": ["a", "b"], "problem": ["1+1?", "2+2?\u2028so"], "answer": ["2", "4"]}
    pq.write_table(pa.table(table), tmp_path / "p.parquet")
    rows = [{"id": "a", "prompt": "1+1?"}, {"uuid": "b", "problem": "2+2?\u2028so"}]
    both = [prompts.read(tmp_path / "p.parquet"), prompts.read(lines(tmp_path / "p.jsonl", *rows))]
    assert both[0] == both[1]
    assert [(p.id, p.text) for p in both[0]] == [("a", "1+1?"), ("b", "2+2?\u2028so")]


def test_json_lines_may_hold_messages_and_seeds_and_lack_ids(tmp_path):
    turns = [("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "w")]
    messages = [{"role": role, "content": text} for role, text in turns]
    found = prompts.read(lines(tmp_path / "p.jsonl", {"messages": messages, "seed": 0}, {"prompt": "x"}))
    assert [(p.id, p.text, p.seed) for p in found] == [("1", "w", 0), ("2", "x", None)]
    assert list(found[0].messages) == messages


def test_an_id_may_be_0_or_stand_in_the_second_column(tmp_path):
    rows = [{"id": 0, "prompt": "x"}, {"id": 1, "prompt": "x"}, {"id": None, "uuid": "u", "prompt": "x"}]
    assert [p.id for p in prompts.read(lines(tmp_path / "p.jsonl", *rows))] == ["0", "1", "u"]


@pytest.mark.parametrize(
    "rows, words",
    [
        ([], "empty"),
        ([{"id": "a"}], "row 1"),
        ([{"prompt": "x"}, {"messages": [{"role": "assistant", "content": "x"}]}], "row 2"),
        ([{"messages": [{"role": "user", "content": None}]}], "row 1"),
        ([{"messages": [{"role": "user", "content": "x"}] * 2}], "alternate"),
        ([{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}], "a 2 times"),
        (["text"], "another kind"),
    ],
)
def test_a_row_without_a_prompt_is_named(tmp_path, rows, words):
    with pytest.raises(Problem, match=words):
        prompts.read(lines(tmp_path / "p.jsonl", *rows))


@pytest.mark.parametrize(
    "name, text", [("p.jsonl", "{"), ("p.parquet", "PAR1"), ("p.txt", "x"), ("none.jsonl", None)]
)
def test_a_prompt_file_that_is_none_is_refused(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(Problem, match=name):
        prompts.read(tmp_path / name)


def bytewise(tokens):
    """A decoder whose tokens are single bytes."""
    return bytes(tokens).decode("utf-8", errors="replace")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_streamed_characters_are_whole_and_lose_nothing(text):
    stream = Characters(bytewise)
    pieces = [stream.feed(byte) for byte in text.encode()]
    assert "".join(pieces) + stream.end() == text
    if "\N{REPLACEMENT CHARACTER}" not in text:
        assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


def test_an_unfinished_character_shows_at_the_end_only():
    stream = Characters(bytewise)
    assert [stream.feed(byte) for byte in "a€".encode()[:-1]] == ["a", "", ""]
    assert stream.end() == "\N{REPLACEMENT CHARACTER}"


@given(st.lists(st.integers(1, 40), max_size=8), st.booleans())
def test_thoughts_are_marked_however_the_text_is_cut(cuts, fold):
    text = "a<b<think>deep\n</ thought</think>\n\nanswer</think> <thin"
    view = Thoughts(fold)
    out, at = "", 0
    for cut in [*cuts, len(text)]:
        out += view.feed(text[at : at + cut])
        at += cut
    out += view.end()
    thought = FOLDED if fold else f"{DIM}<think>deep\n</ thought</think>{RESET}"
    assert out == f"a<b{thought}\n\nanswer</think> <thin"


@given(st.text("ab<", max_size=12), st.lists(st.text("ab<", min_size=1, max_size=4), max_size=3))
def test_streamed_text_ends_where_the_stop_word_is_cut(text, words):
    until = Until(words)
    shown = "".join(until.feed(character) for character in text) + until.end()
    ends = [n for n in range(len(text) + 1) if any(word in text[:n] for word in words)]
    generated = text[: ends[0]] if ends else text  # generation ends as soon as a word is there
    assert shown == Stopping(1, stop_words=tuple(words)).trim(generated)


def test_a_thought_that_the_prompt_opened_is_marked():
    view = Thoughts(fold=False)
    assert view.opened() + view.feed("x</think>y") + view.end() == f"{DIM}<think>x</think>{RESET}y"
    folded = Thoughts(fold=True)
    assert folded.opened() + folded.feed("x</think>y") + folded.end() == f"{FOLDED}y"


def test_an_open_thought_ends_with_the_answer():
    view = Thoughts(fold=False)
    assert view.feed("<think>x") + view.end() == f"{DIM}<think>x{RESET}"
    assert view.feed("y") == "y"


def test_names_of_the_references_documents_are_explained():
    assert tasks.name("greedy") == "greedy"
    with pytest.raises(argparse.ArgumentTypeError, match="reference's documents.*write do_sample"):
        tasks.name("greedy_search_with_sampling")
    with pytest.raises(argparse.ArgumentTypeError, match="choose one of greedy, do_sample"):
        tasks.name("nonsense")


def test_tasks_read_their_own_settings_and_say_which_they_do_not():
    assert Task("greedy", temperature=0.5, num_beams=3).ignored() == ["--temperature", "--num-beams"]
    assert Task("do_sample", temperature=0.5).settings() == {
        "num_samples": 1,
        "temperature": 0.5,
        "top_k": 50,
        "top_p": 0.95,
    }
    assert Task("beam_search_with_sampling").ignored() == []
    with pytest.raises(UsageProblem, match="all five"):
        Task(None)
    with pytest.raises(UsageProblem, match="do_sample for several"):
        Task("greedy", num_samples=2)
    for wrong in (Task("do_sample", top_p=1.5), Task("beam_search", num_beams=1), Task("beam_search", 3)):
        with pytest.raises(UsageProblem):
            wrong.begin(None)


def test_seeds_depend_on_prompt_and_sample_alone():
    seeds = {seed_of(seed, prompt, sample) for seed in (0, 1) for prompt in "ab" for sample in (0, 1)}
    assert len(seeds) == 8 and all(0 <= seed < 2**53 for seed in seeds)
    assert seed_of(42, "a", 0) == seed_of(42, "a", 0)


def planned(**settings):
    return Generation("sums", "chatml", 64, "CPU", 2, 1, 1, settings)


def test_settings_of_a_plan_reach_the_commands():
    asked = planned(task="beam_search", num_beams=3, length_penalty=-0.5, stop_words=["-x", "a b"])
    found = inference.parser().parse_args(["--load", "x", *commandline.generate(asked)])
    assert (found.task, found.num_beams, found.length_penalty) == ("beam_search", 3, -0.5)
    assert found.stop_word == ["-x", "a b"] and found.prompt_type == "chatml"


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"task": "do_sample", "temperature": 0.6}, "--temperature 0.6 --top-k 50 --top-p 0.95"),
        ({"task": "greedy", "num_samples": 1}, ""),
        ({"task": "beam_search", "num_beams": 3}, ""),
        ({"task": None}, ""),
    ],
)
def test_an_export_is_drawn_with_as_its_answers_were(settings, words):
    assert commandline.sampling(planned(**settings)) == words.split()
