"""What our client adds to bare asynchronous requests: wall time and CPU a request, 64 at once, to one local server.

    python benchmarks/bench_serving.py [--requests 1280] [--seconds 0.5] [--problems 100000]

Both sides send the same bodies to the same server, in a process of its own, which takes so many seconds for an answer.
Ours prepares each question, paces it, reads and compares the answer, and keeps it in a journal; the peer posts and parses JSON.
Then, in a process of its own, so many problems of three hundred letters are read, rendered and journalled: its peak of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distillery.generate.batch import Asked
    from distillery.generate.prompter import Prompter
    from distillery.generate.prompts import Prompt
    from distillery.serving.dialects import Manner

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow/scripts"), str(ROOT / "tests/support")]
AT_ONCE = 64
MODEL = ROOT / "config/examples/data/model"
SERVE = """
import sys, time
sys.path[:0] = sys.argv[2:4]
from served_questions import served
with served() as server:
    server.seconds = float(sys.argv[1])
    print(server.url, flush=True)
    sys.stdin.read()
"""


def measured(what: Callable[[], object]) -> tuple[float, float]:
    """(wall, CPU) seconds of a call."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    wall, begun = time.perf_counter(), cpu()
    what()
    return time.perf_counter() - wall, cpu() - begun


async def bare(url: str, bodies: list[bytes]) -> None:
    import httpx2

    left = iter(bodies)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=AT_ONCE)
    async with httpx2.AsyncClient(timeout=60, limits=limits, trust_env=False) as client:

        async def work() -> None:
            for body in left:
                answer = await client.post(f"{url}/v1/completions", content=body)
                json.loads(answer.content)

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def planned(count: int) -> float:
    """Peak megabytes of this process when it has read, rendered and journalled so many problems of a file."""
    from distillery.generate import batch, prompts
    from distillery.generate.journal import Journal
    from distillery.serving import asking
    from distillery.serving.replies import Reply

    question = "Find the number of positive integers below the sum of all its divisors. " * 4
    reply = Reply("It is so. " * 200, "stop", None, tuple(range(300)), None, 300)
    with tempfile.TemporaryDirectory() as folder:
        problems = Path(folder, "problems.jsonl")
        with problems.open("w") as stream:
            for number in range(count):
                stream.write(
                    json.dumps({"id": f"p{number}", "prompt": f"Let n = {number}. {question}"}) + "\n"
                )
        asked, voice, manner = rendered(prompts.read(problems))
        with Journal(Path(folder, "answers.jsonl"), batch.identity("a benchmark", asked)) as journal:
            for one in asked:
                journal.add(asking.record(one, reply, voice, manner))
            journal.finish((one.prompt.id, one.sample) for one in asked)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rendered(problems: list[Prompt]) -> tuple[list[Asked], Prompter, Manner]:
    """What is asked, by whose template, and how."""
    from distillery.generate import batch, prompter
    from distillery.generate.tasks import Task
    from distillery.serving.served_run import manner_of

    voice, task = prompter.by_prompt_type(MODEL, "qwen_math_r1", None), Task("greedy")
    limits = batch.Limits(512, 512, 200, 400)
    manner = manner_of("vllm", "tuned", "completions", task, voice, limits)
    return batch.ask(problems, voice, task, 1, limits), voice, manner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1280)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument(
        "--memory-alone", action="store_true", help="print the peak of memory, in a process of its own"
    )
    args = parser.parse_args()
    if args.memory_alone:
        print(
            f"{args.problems} problems read, rendered and journalled: {planned(args.problems):.0f} MB at most"
        )
        return

    from distillery.generate.journal import Journal
    from distillery.generate.prompts import Prompt
    from distillery.serving import asking
    from distillery.serving.api_key import ApiKey

    prompts = [Prompt(str(i), ({"role": "user", "content": f"What is {i}?"},)) for i in range(args.requests)]
    asked, voice, manner = rendered(prompts)
    bodies = [manner.question(one.prompt.messages, one.ids, "", one.seed) for one in asked]
    line = [sys.executable, "-c", SERVE, str(args.seconds), *sys.path[:2]]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        url = server.stdout.readline().strip()
        sites = asking.Sites((url,), ApiKey(), AT_ONCE, 60)

        def ours(name: str) -> None:
            with Journal(Path(folder, f"{name}.jsonl"), "x") as journal:
                asking.answer(asked, voice, manner, sites, journal, log_interval=len(asked))

        sides = {"bare": lambda name: asyncio.run(bare(url, bodies)), "ours": ours}
        best: dict[str, tuple[float, float]] = {}
        for turn in range(3):  # each side in turn
            for name, side in sides.items():
                found = measured(functools.partial(side, f"{name}{turn}"))
                best[name] = tuple(map(min, found, best.get(name, found)))
        server.stdin.close()
    for name, (wall, cpu) in best.items():
        print(
            f"{name}: {wall:.3f} s for {args.requests} answers, {cpu / args.requests * 1e3:.2f} CPU ms a request"
        )
    more = best["ours"][0] / best["bare"][0] - 1
    print(
        f"ours takes {more:+.1%} of wall time, {(best['ours'][1] - best['bare'][1]) / args.requests * 1e3:+.2f} CPU ms",
        flush=True,
    )
    memory = [sys.executable, __file__, "--memory-alone", "--problems", str(args.problems)]
    subprocess.run(memory, check=True)


if __name__ == "__main__":
    main()
