"""Tokenize a shard (or a directory of shards) into one Megatron indexed dataset.

    python workflow/scripts/preprocess_data.py --input train-00000-of-00010.parquet \\
        --tokenizer-name-or-path resources/models/qwen2.5-math-7b --output-prefix out/openr1 --workers 4 --log-interval 1000 \\
        --tokenizer-type PretrainedFromHF --handler-name SharegptStyleInstructionHandler --prompt-type qwen_math_r1 \\
        --map-keys '{"messages": "messages", "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", \\
            "assistant_tag": "assistant", "system_tag": "system"}}'

Writes out/openr1_packed_{input_ids,attention_mask,labels}_document.{bin,idx} (byte for byte MindSpeed-LLM's),
openr1_manifest.json (counts, options, digests), openr1_rows.parquet (which row each sequence came from)
and, if rows were rejected, openr1_rejected.jsonl. The output is the same for any --workers.
"""

import argparse
from pathlib import Path

from distillery import command, json_files, options, ranges

TOKENIZE = "experiments.*.tokenize"


def parser() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument(
        "--input", type=Path, nargs="+", required=True, help="files, or directories of files of one kind"
    )
    parser.add_argument("--tokenizer-name-or-path", type=Path, required=True, help="a Hugging Face directory")
    parser.add_argument(
        "--output-prefix", type=Path, required=True, help="path of the outputs without their endings"
    )
    parser.add_argument(
        "--handler-name",
        default="GeneralPretrainHandler",
        help="how rows become conversations (auto: by the first rows); without it they are plain text (GeneralPretrainHandler)",
    )
    parser.add_argument("--prompt-type", help="how conversations become text")
    parser.add_argument("--map-keys", type=json_object, help="JSON: which columns and tags play which part")
    parser.add_argument("--tokenizer-type", choices=["PretrainedFromHF"], default="PretrainedFromHF")
    parser.add_argument(
        "--workers", type=ranges.reader(ranges.whole(1)), default=1, help="processes (default: 1)"
    )
    parser.add_argument(
        "--log-interval",
        type=ranges.reader(ranges.whole(1)),
        default=100,
        help="rows between lines of progress (default: 100)",
    )
    options.add(parser, TOKENIZE, "seq_length", help="rows of so many tokens or more do not fit")
    options.add(parser, TOKENIZE, "pack", help="lay several rows into each sequence of --seq-length tokens")
    options.add(parser, TOKENIZE, "neat_pack", help="with --pack: number the rows in the attention mask")
    options.add(parser, TOKENIZE, "append_eod", "n_subs")
    parser.add_argument(
        "--json-keys", nargs="+", default=["text"], help="columns of text for GeneralPretrainHandler"
    )
    parser.add_argument("--overwrite-cache", action="store_true", help="accepted; there is no cache")
    parser.add_argument(
        "--prompt-type-path", type=Path, help="another file of prompt types (default: templates.json)"
    )
    parser.add_argument(
        "--max-samples",
        type=ranges.reader(ranges.whole(1)),
        help="only the first so many rows, whatever the handler (MindSpeed-LLM reads all with these)",
    )
    parser.add_argument(
        "--enable-thinking",
        type=str.lower,
        choices=["true", "false", "none"],
        default="none",
        help="reasoning prompt types: train an empty thought, strip thoughts, or put an empty one unsupervised",
    )
    ours = parser.add_argument_group("beyond the reference")
    ours.add_argument(
        "--hf-chat-template", action="store_true", help="the tokenizer's own template, not a prompt type"
    )
    options.add(ours, TOKENIZE, "overlong", help="rows of --seq-length or more (default: as the reference)")
    options.add(ours, TOKENIZE, "strict", "special_tokens_in_text")
    # the reference leaves out what it cannot use; only a configuration sets a limit by itself
    options.add(
        ours, TOKENIZE, "max_rejected_share", default=None, help="fail if a larger share of rows is rejected"
    )
    ours.add_argument(
        "--handler-file", type=Path, metavar="FILE.json", help="with auto: what tokenize_recognise.py found"
    )
    ours.add_argument(
        "--row-span",
        type=span,
        metavar="K/N",
        help="only the K-th of N spans of the file's rows: tokenize_merge.py of all N gives what the whole file gives",
    )
    options.add(ours, "datasets.*", "thoughts")
    ours.add_argument(
        "--hold-out",
        type=json_object,
        help="JSON of one_in and columns: rows that are left out, to be asked about",
    )
    ours.add_argument(
        "--left-out", type=Path, metavar="JSONL", help="rows that are passed over, of select_rows.py"
    )
    ours.add_argument(
        "--text-labels",
        action="store_true",
        help="GeneralPretrainHandler: what fine-tuning reads, every token of a text learnt, the end of --prompt-type behind it",
    )
    ours.add_argument(
        "--encoder", choices=["auto", "exact"], default="auto", help="exact: never the fast encoder"
    )
    return parser


def span(text: str) -> tuple[int, int]:
    number, slash, total = text.partition("/")
    if not (slash and number.isdecimal() and total.isdecimal()):
        raise argparse.ArgumentTypeError(f"not K/N, such as 2/4: {text}")
    return int(number), int(total)


def json_object(text: str) -> dict:
    try:
        value = json_files.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"not JSON: {error}; in a shell, put it in single quotes: {text}"
        ) from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"not a JSON object: {text}")
    return value


def main(args: argparse.Namespace) -> None:
    from distillery.tokenize import preprocessing

    manifest = preprocessing.run(args)
    print(
        f"{manifest['rows']} rows: {manifest['kept']} kept, {manifest['rejected']['count']} rejected, "
        f"{manifest['dropped']['overlong']['count']} too long; {manifest['documents']} sequences, "
        f"{manifest['tokens']} tokens, {manifest['supervised_tokens']} supervised"
    )
    if manifest["rows"] == args.max_samples:
        print("rows beyond --max-samples were not read; MindSpeed-LLM ignores this flag with these handlers")
    for note, entry in sorted(manifest["noted"].items()):
        print(f"{entry['count']} rows: {note}")


if __name__ == "__main__":
    command.run(parser(), main)
