"""Ask a hub what a repository holds and write it down: the lock that fetching works from.

    python workflow/scripts/fetch_lock.py --host huggingface --repo open-r1/OpenR1-Math-220k --repo-type dataset \\
        --revision main --files 'data/train-{00000..00009}-of-00010.parquet' \\
        --endpoint https://hf-mirror.com --output config/locks/openr1-math-220k.json
    python workflow/scripts/fetch_lock.py --host url --repo openr1 --repo-type dataset \\
        --url 'https://a.example/{name}' --url 'https://b.example/mirror/{name}' --files train.parquet --output l.json

A branch or tag becomes the commit it means now. With --known, what that lock knows must be what the hub
says; a known lock that lacks nothing needs no network. Without --files a model's safetensors, tokenizer
and configuration are chosen.
"""

import argparse
from pathlib import Path

from distillery import addresses, command, options
from distillery.fetch import fetch_flags


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--host", choices=["huggingface", "modelscope", "url"], required=True)
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME")
    parser.add_argument("--repo-type", choices=["model", "dataset"], required=True)
    parser.add_argument("--revision", help="branch, tag or commit (default: the hub's main branch)")
    parser.add_argument(
        "--files", nargs="+", metavar="PATTERN", help="names, wildcards, ranges {00000..00009}"
    )
    parser.add_argument(
        "--endpoint", action="append", default=[], metavar="URL", help="hub or mirror; repeat in order"
    )
    parser.add_argument(
        "--url",
        type=addresses.kept,
        action="append",
        default=[],
        metavar="TEMPLATE",
        help="for --host url, with {name}",
    )
    parser.add_argument("--known", type=Path, metavar="LOCK", help="a lock that must be confirmed")
    parser.add_argument(
        "--rows",
        type=options.number("datasets.*.source.hub.rows"),
        help="of all parquet files together, to be recorded",
    )
    fetch_flags.add_offline(parser, "ask nobody: --known must be complete")
    parser.add_argument("--output", type=Path, required=True, metavar="LOCK")
    return parser


def main(args: argparse.Namespace) -> None:
    from distillery.fetch import locking

    made = locking.run(args)
    digests = sum(one.is_verifiable for one in made.files)
    print(
        f"{args.output}: {len(made.files)} files at {made.revision or 'no fixed revision'}, {digests} with a digest"
    )


if __name__ == "__main__":
    command.run(parser(), main)
