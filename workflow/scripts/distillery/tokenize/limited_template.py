"""A Jinja text from elsewhere, rendered in a process of its own, under limits that no loop and no filter passes.

    template = limited_template.Template(source, where)
    text = template.render(messages=[...], add_generation_prompt=True)

Jinja's sandbox keeps a template from Python, not from taking all memory (`center(3e9)`, `"x" * 10**10`, texts that are joined
to themselves) or all time (loops in loops, `9**9**9`). The process has a timer of CPU time whose default action ends it, which
holds inside one long C call too, and a limit of address space. It starts with the first rendering, and once in each process
that was forked from this one.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import weakref
from datetime import datetime
from typing import IO, Any

from distillery import process_limits
from distillery.problems import Problem
from distillery.provenance import SCRIPTS
from distillery.tokenize.conversation import Rejected

CPU_SECONDS = 5.0  # for one rendering: real ones take a ten thousandth
# bytes of address space beyond what the process has after its start, with the request's size eightfold
MEMORY = 200 << 20
# what `strftime_now` takes for now: rows, and answers to prompts, must be the same tomorrow. Llama 3's own date where none is given
NOW = datetime(2024, 7, 26)
LENGTH = 8  # bytes of a message's length


class Starved(Problem):
    """The rendering process was ended, or has less memory than a rendering may take: nothing is known of the template."""


class Template:
    """A compiled template."""

    def __init__(self, source: str, where: object) -> None:
        """Compile it.

        Args:
            where: names it in messages.

        Raises:
            Problem: it cannot be compiled within the limits.
        """
        self.source, self.where = source, where
        self.process: subprocess.Popen[bytes] | None = None
        self.owner = 0
        self._start()

    def render(self, **values: Any) -> str:
        """The text, for values that JSON can say.

        Raises:
            Rejected: the template refuses them, or fails on them.
            Problem: it takes more time or memory than any conversation needs.
        """
        if self.owner != os.getpid():
            self._start()
        found = self._ask(values)
        if "refused" in found:
            raise Rejected("the chat template refuses the conversation", found["refused"])
        return found["text"]

    def _start(self) -> None:
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(CPU_SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        )
        weakref.finalize(self, _end, self.process, self.owner)
        found = self._ask(self.source)
        if "refused" in found:
            raise Problem("the chat template cannot be compiled", where=self.where, found=found["refused"])

    def _ask(self, request: Any) -> dict[str, str]:
        assert self.process and self.process.stdin and self.process.stdout
        try:
            _send(self.process.stdin, request)
            found = _receive(self.process.stdout)
        except OSError:  # it has ended
            found = None
        if found is None:
            status = self.process.wait()
            ended = process_limits.ended(status)
            own = status == -signal.SIGPROF or -status in process_limits.CRASHES
            found = (
                {"limit": "CPU time" if status == -signal.SIGPROF else ended} if own else {"starved": ended}
            )
        if "limit" in found or "starved" in found:
            self.owner = 0  # the next one asks a new process
        if "starved" in found:
            raise Starved(
                "the process that renders the chat template was ended from outside, or has too little memory",
                where=self.where,
                found=found["starved"],
                wanted=f"at least {MEMORY >> 20} MB for one conversation",
                fix="close other programs, or raise the limit of memory (ulimit -v), and run the same command again",
            )
        if "limit" in found:
            raise Problem(
                "the chat template takes more than any conversation needs",
                where=self.where,
                found=f"the limit of {found['limit']}",
                wanted=f"at most {CPU_SECONDS:g} s and {MEMORY >> 20} MB for one conversation",
                fix="look for loops and filters in it that grow, or use --prompt-type NAME instead of --hf-chat-template",
            )
        return found


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """End the process, unless this is a fork of the one that has it."""
    if owner == os.getpid():
        process.kill()
        process.communicate()


def _send(stream: IO[bytes], value: Any) -> None:
    data = json.dumps(value).encode()
    stream.write(len(data).to_bytes(LENGTH, "little") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """The other side's next value; None where it has gone."""
    size = stream.read(LENGTH)
    if len(size) < LENGTH:
        return None
    data = stream.read(int.from_bytes(size, "little"))
    return json.loads(data) if len(data) == int.from_bytes(size, "little") else None


def _compiled(source: str) -> Any:
    """In a sandbox, with the settings and helpers of transformers (utils/chat_template_utils.py)."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}`, which marks what the assistant says, as the text that stands in it."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
            # a block with a scope of its own, as transformers' call block is
            scope = jinja2.nodes.Scope(lineno=next(parser.stream).lineno)
            scope.body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return [scope]

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    environment.filters["tojson"] = tojson
    environment.globals["strftime_now"] = NOW.strftime
    environment.globals["raise_exception"] = refuse
    return environment.from_string(source)


def _serve(cpu_seconds: float) -> None:
    """Answer requests: first the source, then values to render it with."""
    import jinja2.sandbox  # noqa: F401  before there are limits

    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115
    own, template = pages * resource.getpagesize(), None
    while (request := _receive(asked)) is not None:
        most = own + MEMORY + 8 * len(str(request))
        holds = process_limits.at_most(resource.RLIMIT_AS, most)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)  # SIGPROF ends the process
        try:
            if template is None:
                template, found = _compiled(request), {}
            else:
                found = {"text": template.render(**request)}
            _send(answers, found)
        except (MemoryError, OverflowError) as error:
            _send(answers, {"limit" if holds == most else "starved": f"memory ({type(error).__name__})"})
        except Exception as error:  # jinja2's own, and whatever an expression of the template raises
            _send(answers, {"refused": str(error) or type(error).__name__})
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    _serve(float(sys.argv[1]))
