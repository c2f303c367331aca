"""preprocess_data.py's flags: what goes together, and the recipe that they make."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from distillery import digests
from distillery.dataset import AUTO, PLAIN_TEXT
from distillery.problems import UsageProblem
from distillery.tokenize import hub_template, left_out, recognition, sharegpt, templates
from distillery.tokenize.documents import Rules
from distillery.tokenize.readers import Source
from distillery.tokenize.row_spans import Recipe


def recognise(args: argparse.Namespace, first: Source) -> None:
    """Put a handler in the place of `auto`: the one in --handler-file, or the one that the first file asks for.

    Raises:
        UsageProblem: --map-keys beside auto.
        Problem: as `recognition.of`.
    """
    if args.handler_name != AUTO:
        return
    if args.map_keys is not None:
        raise UsageProblem(
            "auto finds columns by itself",
            where="--map-keys",
            found=args.map_keys,
            fix="leave --map-keys out, or name the handler",
        )
    found = digests.read_json(args.handler_file) if args.handler_file else asdict(recognition.of(first))
    print(f"handler: {found['handler_name']} ({found['said']})", file=sys.stderr)
    args.handler_name, args.map_keys = found["handler_name"], found["map_keys"]
    if args.handler_name == PLAIN_TEXT:
        args.json_keys, args.text_labels = [args.map_keys["text"]], bool(args.prompt_type)


def recipe(args: argparse.Namespace) -> Recipe:
    """What the flags say of rows, conversations and tokens.

    Raises:
        UsageProblem: as `check`.
    """
    check(args)
    named = args.prompt_type and args.prompt_type.strip()
    return Recipe(
        tokenizer=args.tokenizer_name_or_path,
        handler_name=args.handler_name,
        prompt_type=hub_template.NAME if args.hf_chat_template else named,
        map_keys=args.map_keys,
        rules=Rules(
            seq_length=args.seq_length,
            pack=args.pack,
            neat_pack=args.neat_pack,
            append_eod=args.append_eod,
            enable_thinking={"true": True, "false": False, "none": None}[args.enable_thinking],
            overlong=args.overlong,
            special_tokens_in_text=args.special_tokens_in_text,
            strict=args.strict,
        ),
        json_keys=tuple(args.json_keys),
        exact_only=args.encoder == "exact",
        thoughts=args.thoughts if args.thoughts == sharegpt.JOIN else None,
        text_labels=args.text_labels,
        hold_out=args.hold_out,
        left_out=left_out.read(args.left_out) if args.left_out else None,
        templates=args.prompt_type_path or templates.TEMPLATES,
    )


def check(args: argparse.Namespace) -> None:
    """Flags go together.

    Raises:
        UsageProblem: they do not.
    """
    if args.row_span:
        _check_span(args)
    if args.neat_pack and not args.pack:
        raise UsageProblem("--neat-pack needs --pack", fix="add --pack, or leave --neat-pack out")
    for flag in ("pack", "overlong"):
        if getattr(args, flag) and args.seq_length is None:
            raise UsageProblem(
                f"--{flag} needs --seq-length", fix="add --seq-length, the tokens of a sequence"
            )
    plain = args.handler_name == PLAIN_TEXT
    rendered = [
        flag
        for flag, given in (
            ("--prompt-type", args.prompt_type),
            ("--hf-chat-template", args.hf_chat_template),
        )
        if given
    ]
    if args.text_labels and not (plain and rendered):
        raise UsageProblem(
            "--text-labels is for plain text, and ends it as a prompt type ends answers",
            found=" ".join([args.handler_name, *rendered]),
            fix='give --handler-name GeneralPretrainHandler, --prompt-type and, if need be, --map-keys \'{"text": "COLUMN"}\'',
        )
    if plain and (rendered or args.pack) and not args.text_labels:
        raise UsageProblem(
            "GeneralPretrainHandler tokenizes plain text",
            found=" ".join([*rendered, *(["--pack"] if args.pack else [])]),
            fix="leave that out, or choose a handler of conversations",
        )
    if not plain and len(rendered) != 1:
        raise UsageProblem(
            "conversations need one way to become text",
            found=" and ".join(rendered) or "neither --prompt-type nor --hf-chat-template",
            wanted="--prompt-type NAME (such as qwen_math_r1) or --hf-chat-template",
        )


def _check_span(args: argparse.Namespace) -> None:
    number, total = args.row_span
    whole = [flag for flag in ("pack", "max_samples") if getattr(args, flag)]
    if not 1 <= number <= total:
        raise UsageProblem(
            "no such span", where="--row-span", found=f"{number}/{total}", wanted="K/N with K from 1 to N"
        )
    if whole or len(args.input) > 1 or not args.input[0].is_file():
        raise UsageProblem(
            "a span is of the rows of one file",
            where="--row-span",
            found=" ".join([*map(str, args.input), *(f"--{flag.replace('_', '-')}" for flag in whole)]),
            wanted="one file in --input, no --pack (which looks at all rows), no --max-samples",
            fix="leave --row-span or the others out",
        )
