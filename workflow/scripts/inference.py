"""Answer prompts with a model, on the built-in engine; or chat with it on a terminal.

    python workflow/scripts/inference.py --load results/experiments/embedded/hf --prompt-type qwen_math_r1 \\
        --task greedy --prompt-file resources/problems/arithmetic-heldout.parquet --max-new-tokens 76 \\
        --micro-batch-size 32 --output tuned.jsonl

    python workflow/scripts/inference.py --load resources/models/smollm2-135m --prompt-type chatml --task chat

    python workflow/scripts/launch.py --workers 2 --log-dir logs/two -- workflow/scripts/inference.py \\
        --load resources/models/smollm2-135m --prompt-type chatml --task greedy --pipeline-model-parallel-size 2

--load takes a Hugging Face directory or an MCore checkpoint of any layout, cut anew for the ranks it is read by.
On several ranks each holds its slices and their cache; N times as many are N copies, which share the prompts; rank 0 writes
the files. Each line of --output is
{"id", "sample", "prompt", "text", "tokens", "stop", "seed", "rendered_prompt"}: `tokens` are the answer's ids with
the stop id, `stop` is eos, length or stop_word, `rendered_prompt` is the prompt with its markers, as the model saw it. Times go to OUTPUT's stem + .timings.json. The answers do not depend on
--micro-batch-size nor on the order of the prompts; a killed run is continued by the same command.

Tasks: greedy; do_sample; beam_search; beam_search_with_sampling; chat. Without --prompt-file one question is
answered, and the answer shown.
"""

import argparse
from pathlib import Path

from distillery import command
from distillery.generate import signals

GENERATE = "experiments.*.generate"


def parser() -> argparse.ArgumentParser:
    from distillery import megatron_flags, options, schema
    from distillery.generate import tasks
    from distillery.ranges import reader, whole
    from distillery.task_settings import DRAWN, SEARCHED

    parser = command.parser(__doc__)
    add = parser.add_argument
    add("--load", type=Path, required=True, metavar="DIR", help="the weights")
    add("--tokenizer-name-or-path", type=Path, metavar="DIR", help="Hugging Face directory (default: --load)")
    add("--prompt-type", metavar="NAME", help="how prompts are rendered (default: as the weights were tuned)")
    options.add(parser, GENERATE, "hf_chat_template")
    add("--task", type=tasks.name, metavar="TASK", help=", ".join(tasks.TASKS))
    # a configuration derives it from the context
    options.add(parser, GENERATE, "max_new_tokens", default=256, help="tokens of an answer (default 256)")
    options.add(
        parser, GENERATE, "seq_length", help="prompt and answer together (default: the model's context)"
    )
    options.add(parser, GENERATE, "micro_batch_size", "weights")
    add("--prompt-file", type=Path, metavar="FILE", help="problem set .parquet, or .jsonl")
    add("--prompt", metavar="TEXT", help='one question instead (default "how are you?")')
    add("--output", type=Path, metavar="JSONL", help="needed with --prompt-file")
    options.add(parser, GENERATE, "num_samples", "seed", *DRAWN, *SEARCHED)
    add(
        "--stop-word",
        action="append",
        default=[],
        metavar="TEXT",
        help="text or special token that ends an answer (repeatable)",
    )
    add("--add-eos-token", nargs="+", default=[], metavar="TOKEN", help="more tokens that end an answer")
    add(
        "--history-turns",
        type=reader(whole(0)),
        default=3,
        metavar="N",
        help="chat: earlier turns shown to the model",
    )
    add("--fold-thoughts", action="store_true", help="chat: a note instead of what stands in <think>")
    for kind in ("tensor", "pipeline"):
        size = f"experiments.*.layout.{kind}_parallel_size"
        text = f"{kind} ranks, started by launch.py (default {schema.default(size)})"
        add(f"--{kind}-model-parallel-size", **options.of(size, help=text))
    options.add(parser, "hardware.*", "threads", default=None, help="CPU threads (default: all)")
    options.add(parser, "hardware.*", "device")
    add(
        "--kernels",
        choices=["auto", "native", "composed"],
        default="auto",
        help="C++ layers, or MindSpore's ops",
    )
    add(
        "--kv-cache-dtype",
        choices=["fp32", "bf16"],
        default="fp32",
        help="of kept keys and values; bf16 takes half the memory, and changes answers",
    )
    add(
        "--log-interval",
        type=reader(whole(1)),
        default=50,
        metavar="N",
        help="answers between lines of progress",
    )
    add("--num-layer-list", metavar="N,N,...", help="layers of each pipeline stage (default: evenly)")
    for name in ("--bf16", "--fp16"):
        add(name, action="store_true", help="no effect: weights are taken as they are stored")
    for name in ("--attention-dropout", "--hidden-dropout"):
        add(name, help=argparse.SUPPRESS)  # nothing is dropped when answers are generated
    megatron_flags.add_to(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.generate import generate_run

    generate_run.run(args)


if __name__ == "__main__":
    signals.hold()
    command.run(parser(), main, sampled=True)
