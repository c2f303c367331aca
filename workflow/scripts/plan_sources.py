"""Hold fetched files against a plan: config.json, template and tokenizer, a shard's first rows, held-out problems.

    python workflow/scripts/plan_sources.py --name embedded --model-dir resources/models/tiny-qwen2 \\
        --dataset arithmetic --shard resources/datasets/arithmetic/train-00000-of-00004.parquet \\
        --prompt-type qwen_math_r1 --prompt-room 52 \\
        --problems resources/problems/arithmetic-heldout.parquet --seq-length 128 --train-seq-length 128 \\
        --output checks.json

Prints findings as the plan does. Errors end it with exit code 1 before the long jobs start; warnings, and
what the sample says of lengths, go into the output and from there into the report.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from distillery import command
from distillery.problems import Problem


def parser() -> argparse.ArgumentParser:
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    it.add_argument("--name", required=True, help="the experiment")
    it.add_argument("--model-dir", type=Path, required=True, metavar="DIR", help="a Hugging Face directory")
    it.add_argument("--dataset", required=True, metavar="NAME", help="the shard's, under datasets")
    it.add_argument("--shard", type=Path, required=True, metavar="FILE.parquet")
    it.add_argument("--problems", type=Path, required=True, metavar="FILE.parquet")
    it.add_argument("--prompt-type", required=True, metavar="NAME", help="of the training data")
    it.add_argument("--answer-prompt-type", metavar="NAME", help="of the prompts, if another")
    it.add_argument("--handler-name", default="SharegptStyleInstructionHandler")
    it.add_argument("--map-keys", type=json.loads, metavar="JSON")
    it.add_argument(
        "--seq-length", type=int, metavar="TOKENS", help="of tokenize; without it rows of any length"
    )
    it.add_argument("--train-seq-length", type=int, required=True, metavar="TOKENS")
    it.add_argument(
        "--max-rejected-share", type=float, default=0.01, help="of rows that tokenize may leave out"
    )
    it.add_argument(
        "--hf-chat-template", action="store_true", help="prompts are rendered by the tokenizer's own"
    )
    it.add_argument("--prompt-room", type=int, metavar="TOKENS", help="that answers leave for the prompt")
    it.add_argument(
        "--base-prompt-room", type=int, metavar="TOKENS", help="of the original weights, if another"
    )
    it.add_argument(
        "--origin", default="", help="the model's repository or GGUF file, of which facts are recorded"
    )
    it.add_argument(
        "--config-json",
        type=json.loads,
        metavar="JSON",
        help="the configuration, where no facts are recorded",
    )
    it.add_argument("--rows", type=int, default=256, help="size of the sample")
    it.add_argument("--accept", nargs="*", default=[], metavar="ID", help="warnings that are wanted")
    it.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    return it


def main(args: argparse.Namespace) -> None:
    from distillery import config, files
    from distillery.planning import fetched, finding

    rooms = {"generate": args.prompt_room, "generate.base": args.base_prompt_room}
    plan = fetched.Plan(
        experiment=args.name,
        dataset=args.dataset,
        prompt_type=args.prompt_type,
        answer_prompt_type=args.answer_prompt_type or args.prompt_type,
        handler_name=args.handler_name,
        map_keys=args.map_keys or {},
        tokenize_length=args.seq_length,
        train_length=args.train_seq_length,
        max_rejected_share=args.max_rejected_share,
        rooms={path: room for path, room in rooms.items() if room is not None},
        own_template=args.hf_chat_template,
        origin=args.origin,
        config=config.load(args.config_json) if args.config_json else None,
        rows=args.rows,
    )
    found = fetched.inspect(args.model_dir, args.shard, args.problems, plan)
    lines = finding.sort(finding.accept(found["findings"], args.accept))
    print(*lines, sep="\n")
    errors = sum(line.severity == "error" for line in lines)
    if errors:
        raise Problem(
            f"the files contradict the plan in {errors} ways",
            where=args.name,
            found="\n".join(map(str, lines)),
        )
    files.write_json(args.output, {**found, "findings": [dataclasses.asdict(line) for line in lines]})


if __name__ == "__main__":
    command.run(parser(), main)
