"""What our client adds to bare asynchronous requests: wall time and CPU a request, 64 at once, to one local server.

    python benchmarks/bench_serving.py [--requests 1280] [--seconds 0.5]

Both sides send the same bodies to the same server, in a process of its own, which takes so many seconds for an answer.
Ours prepares each question, paces it, reads and compares the answer, and keeps it in a journal; the peer posts and parses JSON.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1280)
    parser.add_argument("--seconds", type=float, default=0.5)
    args = parser.parse_args()

    from distillery.generate import batch, prompter
    from distillery.generate.journal import Journal
    from distillery.generate.prompts import Prompt
    from distillery.generate.tasks import Task
    from distillery.serving import asking
    from distillery.serving.api_key import ApiKey
    from distillery.serving.served_run import manner_of

    voice, task = prompter.by_prompt_type(MODEL, "qwen_math_r1", None), Task("greedy")
    limits = batch.Limits(512, 512, 200, 400)
    prompts = [Prompt(str(i), ({"role": "user", "content": f"What is {i}?"},)) for i in range(args.requests)]
    asked = batch.ask(prompts, voice, task, 1, limits)
    manner = manner_of("vllm", "tuned", "completions", task, voice, limits)
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
        f"ours takes {more:+.1%} of wall time, {(best['ours'][1] - best['bare'][1]) / args.requests * 1e3:+.2f} CPU ms"
    )


if __name__ == "__main__":
    main()
