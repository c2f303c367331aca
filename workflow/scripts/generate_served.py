"""Answer prompts by an OpenAI-compatible server in place of the built-in engine; the answers' file is the same.

    python workflow/scripts/generate_served.py --load results/experiments/embedded/hf --url http://127.0.0.1:8000 \\
        --served-model tuned --task greedy --prompt-file resources/problems/arithmetic-heldout.parquet \\
        --max-new-tokens 76 --output tuned.jsonl

--load is the exported directory that the server has its weights from: its tokenizer, template and stop ids make the
questions. They are asked as token ids at /v1/completions, where the server takes ids. Before the first one its reading of
a prompt is compared with ours. Without --load messages are asked of a server that runs, at --endpoint chat: its template and
tokenizer are its own. Each answer is kept as it comes: a killed run is continued by the same command, and asks nothing
twice. Beside --output lie its stem + .timings.json, and + .server.json, which says who answered.
"""

import argparse
import json
from pathlib import Path

from distillery import command
from distillery.generate import signals

GENERATE = "experiments.*.generate"


def parser() -> argparse.ArgumentParser:
    from distillery import options
    from distillery.generate import tasks
    from distillery.ranges import reader, whole
    from distillery.task_settings import DRAWN

    parser = command.parser(__doc__)
    add = parser.add_argument
    add("--load", type=Path, metavar="DIR", help="the exported directory that is served")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="address of a server that runs already")
    where.add_argument(
        "--server-python", metavar="FILE", help="start a server with these weights by this interpreter"
    )
    add("--served-model", metavar="NAME", help="with --url: the model's name there")
    add(
        "--server-engine",
        metavar="NAME",
        help="vllm, sglang, transformers or openai (default: as it answers)",
    )
    add("--server-args", type=json.loads, default={}, metavar="JSON", help="more flags of a started server")
    add("--replicas", type=reader(whole(1)), default=1, metavar="N", help="started side by side (default 1)")
    add("--devices", type=reader(whole(0)), default=0, metavar="N", help="of each replica (default 0: a CPU)")
    add("--set-env", action="append", default=[], metavar="SCRIPT", help="sourced before (repeatable)")
    add("--env", action="append", default=[], metavar="NAME=VALUE", help="for started servers (repeatable)")
    options.add(parser, "servers.*", "api_key_env", "endpoint", "concurrency", "timeout", "start_timeout")
    add("--prompt-type", metavar="NAME", help="how prompts are rendered (default: as the weights were tuned)")
    options.add(parser, GENERATE, "hf_chat_template")
    options.add(parser, "datasets.*.source.teacher", "instruction", default="")
    add("--task", type=tasks.name, default=tasks.GREEDY, metavar="TASK", help="greedy (default), do_sample")
    options.add(parser, GENERATE, "max_new_tokens", default=256, help="tokens of an answer (default 256)")
    options.add(
        parser, GENERATE, "seq_length", help="prompt and answer together (default: the model's context)"
    )
    add("--prompt-file", type=Path, required=True, metavar="FILE", help="problem set .parquet, or .jsonl")
    add("--output", type=Path, required=True, metavar="JSONL", help="the answers")
    options.add(parser, GENERATE, "num_samples", "seed", *DRAWN)
    add(
        "--stop-word",
        action="append",
        default=[],
        metavar="TEXT",
        help="text or special token that ends an answer (repeatable)",
    )
    add(
        "--log-interval",
        type=reader(whole(1)),
        default=50,
        metavar="N",
        help="answers between lines of progress",
    )
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.serving import served_run

    times = served_run.run(args)
    print(
        f"{args.output}: {times['answers']} answers, {times['tokens']} tokens in {times['generate_seconds']} s"
    )


if __name__ == "__main__":
    signals.hold()
    command.run(parser(), main, sampled=True)
