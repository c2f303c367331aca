"""A byte-pair tokenizer of Qwen2.5's make, trained on the first rows of some shards.

Same parts as the published one: NFC, Qwen2's split pattern (one digit is one token, no merge crosses
a word), byte-level alphabet, special tokens after the vocabulary. Training is deterministic: the
trainer counts words and breaks ties between equally frequent pairs by token id, for any thread count.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import digests, files, parquet_files
from distillery.problems import Problem, UsageProblem

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, START, END)
ALPHABET = 256  # one token per byte: no text is unknown
# the pattern of the published Qwen2 tokenizer.json
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# ChatML with the default system prompt that Qwen2.5-Math publishes
CHAT_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' -%}"
    "{{- '<|im_start|>system\\nPlease reason step by step, and put your final answer within \\\\boxed{}.<|im_end|>\\n' -}}"
    "{%- endif -%}"
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def train(shards: list[Path], rows: int, vocab_size: int) -> Tokenizer:
    """A `tokenizers.Tokenizer` of at most `vocab_size` tokens, special ones included.

    Raises:
        UsageProblem: `vocab_size` has no room for bytes and special tokens.
        Problem: the shards hold fewer than `rows` rows.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )

    if vocab_size < ALPHABET + len(SPECIAL_TOKENS):
        raise UsageProblem(
            "the vocabulary is too small",
            where="--vocab-size",
            found=vocab_size,
            wanted=f"at least {ALPHABET + len(SPECIAL_TOKENS)}: one token per byte and {len(SPECIAL_TOKENS)} special ones",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL_TOKENS),
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(shards, rows), trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return tokenizer


def _texts(shards: list[Path], rows: int) -> Iterator[str]:
    """The chat texts of the first `rows` rows, cut at special tokens (which are no text to learn from)."""
    import jinja2

    template = jinja2.Environment().from_string(CHAT_TEMPLATE)
    seen = 0
    for shard in shards:
        digests.check_file(shard)
        for batch in parquet_files.batches(shard, ["messages"]):
            for messages in batch["messages"].to_pylist()[: rows - seen]:
                seen += 1
                text = template.render(messages=messages)
                for token in SPECIAL_TOKENS:
                    text = text.replace(token, "\0")
                yield from filter(None, text.split("\0"))
    if seen < rows:
        raise Problem(
            "too few rows to train the tokenizer on",
            where=", ".join(str(shard) for shard in shards),
            found=f"{seen} rows",
            wanted=f"{rows} (--tokenizer-rows)",
            fix="give more shards or ask for fewer rows",
        )


def save(tokenizer: Tokenizer, directory: Path, max_length: int) -> None:
    """Write tokenizer.json and tokenizer_config.json."""
    files.write_text(directory / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    files.write_json(directory / "tokenizer_config.json", config(tokenizer, max_length))


def config(tokenizer: Tokenizer, max_length: int) -> dict[str, Any]:
    """tokenizer_config.json as a Qwen2.5 base model has it; templates for chat replace its eos."""
    described = {token["id"]: token for token in json.loads(tokenizer.to_str())["added_tokens"]}
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(number): {key: value for key, value in token.items() if key != "id"}
            for number, token in described.items()
        },
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "errors": "replace",
        "model_max_length": max_length,
        "pad_token": END_OF_TEXT,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
