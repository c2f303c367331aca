"""Servers whose model is none of ours: messages are asked, thoughts are understood in both forms, and a shard comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import here
from llm_server import LlmServer
from served_questions import served

from distillery import json_files

INSTRUCTION = "Put it within \\boxed{}."


def said(question: str, seed: int) -> str:
    """As many apples as the question says, thought in one of two forms; wrong for every third seed."""
    number = int(question.split()[2]) + (seed % 3 == 0)
    thoughts = f"{number} it is."
    inline = "\n</think>\n\n" if seed % 2 else None
    answer = f"The answer is \\boxed{{{number}}}."
    return f"{thoughts}{inline}{answer}" if inline else f"<think>\n{thoughts}\n</think>\n\n{answer}"


def ask(
    folder: Path, server: LlmServer, *words: object, count: int = 6, code: int = 0
) -> tuple[str, list[dict[str, Any]]]:
    rows = [
        {"uuid": f"p{n}", "problem": f"There are {n} apples", "answer": str(n), "problem_type": "apples"}
        for n in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "set.parquet")
    output = folder / "answers.jsonl"
    here(
        "fetch_teacher_questions.py",
        "--problems",
        folder / "set.parquet",
        "--output",
        folder / "q.parquet",
        "--counts",
        folder / "q.json",
    )
    line = [
        "--url",
        server.url,
        "--served-model",
        "tuned",
        "--endpoint",
        "chat",
        "--task",
        "do_sample",
        "--num-samples",
        4,
    ]
    line += ["--top-k", 0, "--max-new-tokens", 99, "--prompt-file", folder / "q.parquet", "--output", output]
    done = here("generate_served.py", *line, "--instruction", INSTRUCTION, *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr, [] if code else lines(output)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def teacher():
    with served(kind="openai") as server:
        server.says = said
        yield server


def test_messages_are_asked_with_the_instruction_and_without_our_template(tmp_path, teacher):
    _, rows = ask(tmp_path, teacher)
    questions = teacher.asked
    assert len(rows) == len(questions) == 24  # no probe: there is nothing to compare
    assert {one["seed"] for one in questions} == {row["seed"] for row in rows}
    for one in questions:
        (message,) = one["messages"]
        assert message["role"] == "user" and message["content"].endswith(f"apples\n{INSTRUCTION}")
        assert not {"prompt", "stop", "top_k"} & one.keys() and one["max_tokens"] == 99
    for row in rows:
        assert row["prompt"].endswith("apples") and row["tokens"] == [] and row["rendered_prompt"] == ""
        assert row["completion_tokens"] > 5 and row["stop"] == "eos"
    told = json.loads((tmp_path / "answers.server.json").read_text())
    assert (told["asked_as"], told["prompts_compared_by"]) == ("messages", "the server's own template")


def test_both_forms_of_thoughts_become_rows(tmp_path, teacher):
    _, answers = ask(tmp_path, teacher)
    names = {
        "questions": "q.parquet",
        "counts": "q.json",
        "answers": "answers.jsonl",
        "output": "shard.parquet",
        "pass-rates": "rates.json",
    }
    done = here(
        "fetch_teacher_shard.py",
        *(word for flag, name in names.items() for word in (f"--{flag}", tmp_path / name)),
    )
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(tmp_path / "shard.parquet").to_pylist()
    right = [one for one in answers if one["seed"] % 3]
    assert len(rows) == len(right) < len(answers)
    assert {one["seed"] % 2 for one in right} == {0, 1}
    for row, one in zip(rows, right, strict=True):
        number = one["id"][1:]
        wanted = f"<think>\n{number} it is.\n</think>\n\nThe answer is \\boxed{{{number}}}."
        assert row["messages"][1]["content"] == wanted and row["messages"][0]["content"] == one["prompt"]
    rates = json_files.read(tmp_path / "rates.json")
    assert rates["tokens"] == sum(one["completion_tokens"] for one in answers)


def test_a_run_that_was_stopped_asks_nothing_twice(tmp_path, teacher):
    _, straight = ask(tmp_path, teacher)
    (tmp_path / "answers.jsonl").unlink()
    teacher.asked.clear()
    teacher.fault("other", skip=10)
    ask(tmp_path, teacher, "--concurrency", 1, code=1)
    assert not (tmp_path / "answers.jsonl").exists() and len(teacher.asked) == 11
    _, rows = ask(tmp_path, teacher)
    assert rows == straight and len(teacher.asked) == 11 + 14


def test_another_instruction_is_another_question(tmp_path, teacher):
    teacher.fault("other", skip=3)
    ask(tmp_path, teacher, "--concurrency", 1, code=1)
    teacher.asked.clear()
    ask(tmp_path, teacher, "--instruction", "Be brief.")
    assert len(teacher.asked) == 24


def test_without_weights_there_is_nothing_to_start_and_no_prompt_to_render(tmp_path, teacher):
    said, _ = ask(tmp_path, teacher, "--endpoint", "completions", code=2)
    assert "only messages can be asked" in said and not teacher.asked


@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_other_kinds_keep_their_own_ends(tmp_path, kind):
    with served(kind="vllm" if kind == "vllm" else "openai") as server:
        server.says = said
        ask(tmp_path, server, *(["--server-engine", kind] if kind == "transformers" else []))
        question = server.asked[-1]
    if kind == "vllm":
        assert question["stop_token_ids"] == []
    else:
        assert "eos_token_id" not in json.loads(question["generation_config"])


def test_the_key_is_sent_and_stands_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHERS_KEY", "sk-very-secret")
    with served(kind="openai", key="sk-very-secret") as server:
        server.says = said
        printed, _ = ask(tmp_path, server, "--api-key-env", "TEACHERS_KEY")
    assert "sk-very" not in printed
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if b"sk-very" in path.read_bytes()]
