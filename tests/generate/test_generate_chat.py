"""The chat on a real pseudo-terminal: what a user sees, types and stops."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path

import pytest
from generate_models import parrot
from places import SCRIPTS

from distillery import model_config
from distillery.engine import runner_choice
from distillery.engine.generation import Request, Stopping, generate
from distillery.generate.batch import Limits
from distillery.generate.chat import Chat, spoken
from distillery.generate.prompter import by_prompt_type
from distillery.generate.tasks import Task, seed_of
from distillery.terminal_text import printable

pytestmark = pytest.mark.mindspore

DIM, RESET = "\x1b[2m", "\x1b[0m"
SPEECH = "<think>Gö你</think>ok 🙂!"


class Terminal:
    """A process on a pseudo-terminal: what it wrote so far is `screen`."""

    def __init__(self, *arguments: object):
        self.process, self.end = pty.fork()
        if self.process == 0:
            command = [sys.executable, str(SCRIPTS / "inference.py"), *map(str, arguments)]
            os.execve(sys.executable, command, {**os.environ, "PYTHONUTF8": "1", "TERM": "dumb"})
        self.bytes, self.read_to = b"", 0

    @property
    def screen(self) -> str:
        return self.bytes.decode(errors="replace").replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def see(self, pattern: str, seconds: float = 60) -> str:
        """Wait for a pattern in what came since the last match; return all that came up to its end."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.compile(pattern, re.DOTALL).search(self.screen, self.read_to)
            if match:
                seen = self.screen[self.read_to : match.end()]
                self.read_to = match.end()
                return seen
            assert time.monotonic() < deadline, (
                f"waited for {pattern!r}, have {self.screen[self.read_to :]!r}"
            )
            self._read()

    def left(self) -> int:
        """Exit code, once the process has gone."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.end], [], [], 1)[0]:
            return True
        try:
            more = os.read(self.end, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.bytes += more
        return bool(more)


def chat(model: Path, *more: object) -> Terminal:
    flags = ["--load", model, "--prompt-type", "qwen_math_r1", "--task", "chat", "--top-k", 1, "--threads", 2]
    return Terminal(*flags, *more)


@pytest.fixture(scope="module")
def speaker(tmp_path_factory) -> Path:
    return parrot(tmp_path_factory.mktemp("parrots") / "speaker", SPEECH, loop=False)


def test_a_conversation_from_greeting_to_leaving(speaker):
    terminal = chat(speaker, "--max-new-tokens", 60)
    assert "Ctrl-C stops an answer" in terminal.see("> ")
    terminal.type("hello\n")
    shown = terminal.see("\n\n> ")
    assert f"{DIM}<think>Gö你</think>{RESET}ok 🙂!" in shown
    assert "\N{REPLACEMENT CHARACTER}" not in shown and "<|im_end|>" not in shown
    terminal.type("Wie groß? 你好\n")
    assert "ok 🙂!" in terminal.see("\n\n> ")
    for word in ("clear", "new"):
        terminal.type(f"{word}\n")
        assert "(a new conversation)" in terminal.see("> ")
    terminal.type("\n")
    terminal.see("> ")
    terminal.type("\x03")
    assert "(q leaves)" in terminal.see("> ")
    terminal.type("exit\n")
    assert terminal.left() == 0


def test_lines_are_edited_and_found_again_and_bytes_that_are_no_text_are_asked_for_again(speaker):
    terminal = chat(speaker, "--max-new-tokens", 60)
    terminal.see("> ")
    terminal.type("leaR\x7fr\x01c\n")  # backspace, Home
    terminal.see(r"\(a new conversation\)\n\n> ")
    terminal.type("\x1b[A\n")  # the arrow up
    terminal.see(r"\(a new conversation\)\n\n> ")
    os.write(terminal.end, b"a\xff\xfe\n")
    terminal.see("type it again.*\n\n> ")
    terminal.type("hello\n")
    assert "ok 🙂!" in terminal.see("\n\n> ")
    terminal.type("quit\n")
    assert terminal.left() == 0


@pytest.mark.parametrize(
    ("answer", "thinking", "said"),
    [
        ("<think>a</think>\n\nb", False, "b"),
        ("a</think>b<think>c</think> d ", True, "d"),
        ("a, never ended", True, ""),
        ("b <think>a, never ended", False, "b "),
        ("b ", False, "b "),
    ],
)
def test_later_questions_are_asked_without_earlier_thoughts(answer, thinking, said):
    assert spoken(answer, thinking) == said


def test_a_stop_word_ends_the_answer_and_is_neither_shown_nor_remembered(speaker):
    terminal = chat(speaker, "--max-new-tokens", 60, "--stop-word", "ok 🙂")
    terminal.see("> ")
    terminal.type("hello\n")
    shown = terminal.see("\n\n> ")
    assert shown.endswith(f"{DIM}<think>Gö你</think>{RESET}\n\n> ")
    terminal.type("quit\n")
    assert terminal.left() == 0


def test_an_answer_reaches_the_terminal_as_text_and_not_as_a_command_to_it(tmp_path):
    terminal = chat(parrot(tmp_path / "painter", "\x1b]0;name\x07ok", loop=False), "--max-new-tokens", 60)
    terminal.see("> ")
    terminal.type("hello\n")
    shown = terminal.see("\n\n> ")
    assert r"\x1b]0;name\x07ok" in shown and "\x1b]" not in shown
    terminal.type("quit\n")
    assert terminal.left() == 0


def test_a_terminal_of_another_encoding_sees_a_sign_for_what_it_lacks(speaker, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    terminal = chat(speaker, "--max-new-tokens", 60)
    terminal.see("> ")
    terminal.type("hello\n")
    assert "</think>" in terminal.see(r"ok \?!\n\n> ")
    assert b"<think>G\xf6?" in terminal.bytes
    terminal.type("quit\n")
    assert terminal.left() == 0


def test_answers_as_long_as_the_context_are_refused_before_loading(speaker):
    terminal = chat(speaker, "--max-new-tokens", 128, "--seq-length", 128)
    assert "--max-new-tokens 64" in terminal.see("no question would fit.*fix:[^;]*")
    assert terminal.left() == 1


def test_thoughts_fold_and_the_end_of_input_leaves(speaker):
    terminal = chat(speaker, "--max-new-tokens", 60, "--fold-thoughts")
    terminal.see("> ")
    terminal.type("hello\n")
    shown = terminal.see("\n\n> ")
    assert "(thinking ...)ok 🙂!" in shown and "Gö" not in shown
    terminal.type("\x04")
    assert terminal.left() == 0


def test_ctrl_c_stops_the_answer_and_not_the_program(tmp_path):
    model = parrot(tmp_path / "babbler", "no end of talking", loop=True)
    terminal = chat(model, "--max-new-tokens", 7000)
    terminal.see("> ")
    for _ in range(2):  # the second answer starts on what the first, cut, left in the cache
        terminal.type("talk\n")
        terminal.see("no end of talkingno end of talking")  # it streams: 7000 tokens are not over yet
        terminal.type("\x03")
        assert "(stopped)" in terminal.see("\n> ", seconds=20)
        assert not re.search("no end of", terminal.screen[terminal.read_to :])
    terminal.type("x" * 3000 + "\n")
    assert "(too long: at most 8192 tokens" in terminal.see("\n> ")
    os.kill(terminal.process, signal.SIGTERM)
    assert terminal.left() == -signal.SIGTERM


def test_history_is_what_the_model_is_asked_with(tiny):
    """Turn by turn with a reused cache, the answers are those to the whole conversation asked afresh."""
    from distillery.convert import states

    arch = model_config.read(tiny)
    prompter, task, limits = (
        by_prompt_type(tiny, "qwen_math_r1", None),
        Task("chat"),
        Limits(512, 512, 20, 1000),
    )
    talk = Chat(
        runner_choice.build(arch, states.load_state(tiny), 1, 512),
        prompter,
        task,
        limits,
        seed=5,
        history_turns=2,
        fold=False,
    )
    questions = iter(["How many?", "And then 3?", "Why", "clear", "And then 3?", "q"])
    screen = io.StringIO()
    talk.run(lambda prompt: next(questions), screen)

    fresh = runner_choice.build(arch, states.load_state(tiny), 1, 512)
    asked: list[list[dict[str, str]]] = []
    history: list[dict[str, str]] = []
    answers = []
    for number, question in enumerate(["How many?", "And then 3?", "Why", "And then 3?"], 1):
        if number == 4:
            history = []
        asked.append([*history[-4:], {"role": "user", "content": question}])
        request = Request(0, tuple(prompter.ids(asked[-1])), seed_of(5, "chat", number))
        begin = task.begin(Stopping(20, prompter.stop_ids))
        answers.append(prompter.answer(next(generate(fresh, [request], begin)).tokens))
        said = spoken(answers[-1], thinking=False)
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": said}]
    assert [len(each) for each in asked] == [1, 3, 5, 1]
    assert len(set(answers)) == 4
    at = 0
    for answer in map(printable, answers):
        at = screen.getvalue().index(answer, at) + len(answer)
