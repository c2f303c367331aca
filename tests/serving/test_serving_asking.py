"""Questions to a server over a real connection: what is asked, compared before, shared and kept."""

from __future__ import annotations

import functools
import json
import threading
import tracemalloc
from pathlib import Path

import pytest
from served_questions import MODEL, STOP, TOKENIZER, ask, first_ids, served

from distillery.generate import batch, prompter, prompts
from distillery.generate.journal import Journal
from distillery.generate.prompts import Prompt
from distillery.generate.tasks import Task
from distillery.problems import Problem
from distillery.serving import asking
from distillery.serving.api_key import ApiKey
from distillery.serving.replies import Reply
from distillery.serving.served_run import manner_of


@pytest.fixture
def asks(tmp_path: Path):
    """`ask` in a folder of the test."""
    return functools.partial(ask, tmp_path)


def test_prompts_are_asked_as_ids_of_our_template_with_all_that_decides(asks, tmp_path):
    with served() as server:
        words = [
            "--task",
            "do_sample",
            "--num-samples",
            2,
            "--temperature",
            0.6,
            "--top-k",
            20,
            "--top-p",
            0.9,
        ]
        _, rows = asks(server, *words)
        questions = server.asked
    assert [(row["id"], row["sample"]) for row in rows] == [(f"p{i}", s) for i in range(3) for s in range(2)]
    asked = {one["seed"]: one for one in questions}
    assert len(asked) == 6
    for row in rows:
        one = asked[row["seed"]]
        assert one["prompt"] == TOKENIZER.encode(row["rendered_prompt"])
        assert row["rendered_prompt"].endswith("<|im_start|>assistant\n")
        settings = ("model", "max_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "min_p")
        assert [one[key] for key in settings] == ["tuned", 200, 0.6, 20, 0.9, 1.0, 0.0]
        assert STOP in one["stop_token_ids"] and one["return_token_ids"]
        assert (row["stop"], row["tokens"][-1]) == ("eos", STOP)
        assert row["text"] == TOKENIZER.backend.decode(row["tokens"][:-1])
        assert list(row) == ["id", "sample", "prompt", "text", "tokens", "stop", "seed", "rendered_prompt"]
    told = json.loads((tmp_path / "answers.server.json").read_text())
    assert (told["engine"], told["version"]) == ("vllm", "0.32.0")
    assert (told["asked_as"], told["prompts_compared_by"]) == ("ids", "tokenize")
    assert told["bit_reproducible"] is False and told["sampling"]["top_k"] == 20


def test_a_server_of_no_known_kind_gets_openais_words_and_our_count_of_tokens(asks, tmp_path):
    with served(kind="openai") as server:
        _, rows = asks(server)
        question = server.asked[-1]
    assert set(question) == {
        "model",
        "prompt",
        "seed",
        "stream",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
    }
    assert "<|im_end|>" in question["stop"]
    for row in rows:
        assert row["tokens"] == [*TOKENIZER.encode(row["text"]), STOP]
    told = json.loads((tmp_path / "answers.server.json").read_text())
    assert (told["engine"], told["version"], told["prompts_compared_by"]) == ("openai", None, "prompt_tokens")


def test_it_takes_no_top_k(asks):
    with served(kind="openai") as server:
        said, _ = asks(server, "--task", "do_sample", "--top-k", 5, code=1)
        assert "takes no top_k" in said and not server.asked


def test_messages_go_to_the_chat_endpoint_and_thoughts_come_back_in_their_tags(asks):
    with served(kind="openai") as server:
        server.shift = len(first_ids()) - 10  # as many tokens as its template would make
        _, rows = asks(server, "--endpoint", "chat", count=1)
        question = server.asked[-1]
    assert (
        question["messages"] == [{"role": "user", "content": "What is 0 plus 0?"}]
        and "prompt" not in question
    )
    assert rows[0]["text"].startswith("<think>\nIt is ") and "\n</think>\n\nThe answer is" in rows[0]["text"]


def test_a_server_that_is_away_is_said_before_anything(asks):
    with served() as server:
        pass
    said, rows = asks(server, code=1)
    assert "the server does not answer" in said and server.url in said and not rows


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_a_server_that_reads_prompts_otherwise_is_refused_with_both_readings(asks, kind):
    with served(kind=kind, shift=1) as server:
        said, rows = asks(server, code=1)
        assert "reads prompts otherwise than training did" in said and not rows
        ids = first_ids()
        assert f"{len(ids)} tokens: {' '.join(map(str, ids))}" in said and "<|im_start|>" in said
        other = " ".join(str(one + 1) for one in ids) if kind == "vllm" else f"{len(ids) + 1} tokens"
        assert other in said
        assert len(server.asked) <= 1  # the probe


def test_names_and_lengths_are_looked_at_before_the_first_question(asks):
    with served(model="another") as server:
        said, _ = asks(server, code=1)
        assert "no such model" in said and "another" in said and not server.asked
    with served() as server:
        server.context = 220
        said, _ = asks(server, code=1)
        assert "do not fit" in said and "max_model_len" in said and not server.asked


def test_a_run_that_is_continued_asks_nothing_twice(asks):
    """Another order of the answers, and a journal that a kill left behind."""
    with served() as server:
        _, straight = asks(server, count=10, name="straight")
        server.asked.clear()
        server.fault("other", skip=6)  # an end in the middle
        asks(server, "--concurrency", 1, count=10, code=1)
        assert len(server.asked) == 7
        _, rows = asks(server, count=10)
        assert rows == straight and len(server.asked) == 7 + 4


def test_sites_share_the_questions(tmp_path):
    """Replicas get as much each; nothing is asked twice."""
    voice, task = prompter.by_prompt_type(MODEL, "qwen_math_r1", None), Task("greedy")
    limits = batch.Limits(512, 512, 100, 400)
    prompts = [Prompt(str(i), ({"role": "user", "content": f"{i}?"},)) for i in range(40)]
    asked = batch.ask(prompts, voice, task, 1, limits)
    with served() as one, served() as two, Journal(tmp_path / "a.jsonl", "x") as journal:
        one.seconds = two.seconds = 0.01
        sites = asking.Sites((one.url, two.url), ApiKey(), 4, 10)
        manner = manner_of("vllm", "tuned", "completions", task, voice, limits)
        times = asking.answer(asked, voice, manner, sites, journal, log_interval=50)
        shares = len(one.asked), len(two.asked)
    assert times["answers"] == sum(shares) == 40 and min(shares) >= 12


def test_what_ends_a_started_server_ends_the_questions(tmp_path):
    voice, task = prompter.by_prompt_type(MODEL, "qwen_math_r1", None), Task("greedy")
    limits = batch.Limits(512, 512, 100, 400)
    asked = batch.ask([Prompt("a", ({"role": "user", "content": "?"},))], voice, task, 1, limits)
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise Problem("the server has ended")

    with served() as server, Journal(tmp_path / "a.jsonl", "x") as journal:
        server.fault("hang", times=9)
        threading.Timer(0.3, gone.set).start()
        sites = asking.Sites((server.url,), ApiKey(), 4, 10, check=check)
        manner = manner_of("vllm", "tuned", "completions", task, voice, limits)
        with pytest.raises(Problem, match="the server has ended"):
            asking.answer(asked, voice, manner, sites, journal, log_interval=50)
    assert Path(journal.path).is_file()


def peak(folder: Path, count: int) -> int:
    """Bytes at most while so many problems of three hundred letters are read, rendered and journalled."""
    question = "Find the number of positive integers below the sum of all its divisors. " * 4
    with (folder / "p.jsonl").open("w") as stream:
        for n in range(count):
            stream.write(json.dumps({"id": f"p{n}", "prompt": f"Let n = {n}. {question}"}) + "\n")
    voice, task = prompter.by_prompt_type(MODEL, "qwen_math_r1", None), Task("greedy")
    limits = batch.Limits(512, 512, 200, 400)
    manner = manner_of("vllm", "tuned", "completions", task, voice, limits)
    reply = Reply("It is so.", "stop", None, tuple(range(300)), None, 300)
    tracemalloc.start()
    try:
        asked = batch.ask(prompts.read(folder / "p.jsonl"), voice, task, 1, limits)
        with Journal(folder / "a.jsonl", batch.identity("x", asked)) as journal:
            for one in asked:
                journal.add(asking.record(one, reply, voice, manner))
            journal.finish((one.prompt.id, one.sample) for one in asked)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_hundred_thousand_problems_take_no_more_than_300_mb(tmp_path):
    """By what each of some adds: a process with all that asks servers takes 80 MB before the first."""
    each = (peak(tmp_path, 450) - peak(tmp_path, 150)) / 300
    assert 80e6 + 100_000 * each < 300e6
