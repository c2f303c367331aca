"""A conversation on a terminal.

`q`, `quit` or `exit` (or Ctrl-D) leaves, `clear` or `new` forgets the conversation, Ctrl-C stops an answer. Lines are edited, and
earlier ones found again, as in a shell: arrows, Home and End, Ctrl-R.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TextIO

from distillery.engine.generation import Stopping
from distillery.generate import signals
from distillery.generate.batch import Limits, check_ids
from distillery.generate.prompter import Prompter
from distillery.generate.stream import Characters, Thoughts, Until
from distillery.generate.tasks import Task, seed_of
from distillery.marks import END_THINK, THINK
from distillery.problems import UsageProblem
from distillery.terminal_text import drawn, printable

if TYPE_CHECKING:
    from distillery.engine.generation import Runner

LEAVE, FORGET = ("q", "quit", "exit"), ("clear", "new")
GREETING = "Ask something. q leaves, clear forgets the conversation, Ctrl-C stops an answer."


def require_terminal() -> None:
    """A chat has someone to talk to.

    Raises:
        UsageProblem: standard input or output is a file or a pipe.
    """
    missing = [name for name, stream in (("input", sys.stdin), ("output", sys.stdout)) if not stream.isatty()]
    if missing:
        raise UsageProblem(
            "a chat needs someone at a terminal",
            where="--task chat",
            found=f"standard {' and '.join(missing)} is no terminal",
            fix="run it in a terminal, without --log and pipes; for prompts in a file use --task do_sample",
        )


def read_line(prompt: str) -> str:
    """A line typed at the terminal after `prompt`, without its end.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
        EOFError: Ctrl-D was.
        ValueError: what was typed is no text in the terminal's encoding.
    """
    import readline  # noqa: F401  input() edits lines with it

    with signals.delivered(signal.SIGINT):
        text = input(prompt)
    text.encode()  # bytes that are no text come as halves of characters
    return text


def spoken(answer: str, thinking: bool) -> str:
    """An answer without its thoughts: what later questions are asked with.

    As DeepSeek-R1's own chat template has it, which keeps what follows the last </think> of an earlier answer.

    Args:
        thinking: the prompt had opened the thought.
    """
    if END_THINK in answer:
        return answer.rpartition(END_THINK)[2].strip()
    return "" if thinking else answer.partition(THINK)[0]


class Chat:
    """A conversation with a model in slot 0 of `runner`.

    Args:
        history_turns: so many earlier questions with their answers are shown to the model.
        fold: replace thoughts by a note.
    """

    def __init__(
        self,
        runner: Runner,
        prompter: Prompter,
        task: Task,
        limits: Limits,
        *,
        seed: int,
        history_turns: int,
        fold: bool,
    ):
        self.runner, self.prompter, self.task, self.limits = runner, prompter, task, limits
        self.stopping = Stopping(limits.max_new_tokens, prompter.stop_ids, limits.stop_words, prompter.text)
        self.seed, self.history_turns, self.fold = seed, history_turns, fold
        self.turns: list[tuple[str, str]] = []  # questions and answers
        self.cached: list[int] = []  # ids whose keys are in the slot
        self.asked = 0

    def run(self, read: Callable[[str], str] = read_line, out: TextIO | None = None) -> None:
        """Read and answer until the user leaves. See `signals` for Ctrl-C."""
        out = out or drawn(sys.stdout)
        print(GREETING, file=out)
        while True:
            print(file=out, flush=True)
            try:
                question = read("> ").strip()
            except KeyboardInterrupt:
                print("\n(q leaves)", file=out)
                continue
            except EOFError:
                print(file=out)
                return
            except ValueError:
                # half of a character that was erased, or a terminal of another encoding
                print("(not whole characters of UTF-8; type it again)", file=out)
                continue
            if question in LEAVE:
                return
            if question in FORGET:
                self.turns.clear()
                print("(a new conversation)", file=out)
            elif question:
                self._answer(question, out)

    def _answer(self, question: str, out: TextIO) -> None:
        ids = self._prompt(question)
        if ids is None:
            print(f"(too long: at most {self.limits.context} tokens with the answer)", file=out)
            return
        characters, thoughts = Characters(self.prompter.text), Thoughts(self.fold)
        until = Until(self.limits.stop_words)
        thinking = self.prompter.opens(ids, THINK)
        if thinking:
            out.write(thoughts.opened())
        tokens: list[int] = []
        stopped = False
        for token in self._tokens(ids):
            tokens.append(token)
            if token not in self.prompter.stop_ids:
                out.write(thoughts.feed(printable(until.feed(characters.feed(token)))))
                out.flush()
            stopped = signals.arrived(signal.SIGINT) is not None
            if stopped:
                break
        out.write(thoughts.feed(printable(until.feed(characters.end()) + until.end())) + thoughts.end())
        print("\n(stopped)" if stopped else "", file=out, flush=True)
        self.turns.append((question, spoken(self.stopping.trim(self.prompter.answer(tokens)), thinking)))

    def _prompt(self, question: str) -> list[int] | None:
        """Ids of the conversation with as many earlier turns as are wanted and fit; None if none fits."""
        kept = self.turns[len(self.turns) - min(self.history_turns, len(self.turns)) :]
        while True:
            messages = []
            for earlier, answer in kept:
                messages += [{"role": "user", "content": earlier}, {"role": "assistant", "content": answer}]
            ids = self.prompter.ids([*messages, {"role": "user", "content": question}])
            check_ids(ids, self.prompter, self.limits.vocab_size, f"{self.asked + 1} of this chat")
            if len(ids) + self.limits.max_new_tokens <= self.limits.context:
                return ids
            if not kept:
                return None
            kept = kept[1:]

    def _tokens(self, ids: list[int]) -> Iterator[int]:
        """The answer's ids as they come. Keys of what stands in the slot already are used again."""
        from distillery.engine.generation import Request

        self.asked += 1
        request = Request(0, tuple(ids), seed_of(self.seed, "chat", self.asked))
        search = self.task.begin(self.stopping)(request)
        common = 0
        while common < min(len(self.cached), len(ids) - 1) and self.cached[common] == ids[common]:
            common += 1  # the last id is fed in any case: its scores are wanted
        self.runner.cut(0, common)
        self.cached, feed = ids[:common], ids[common:]
        while feed:
            rows = self.runner.extend({0: feed}, search.greedy)
            self.cached += feed
            onward = search.advance(rows[0][None])
            yield search.tokens[-1]
            feed = [token for _, token in onward]
