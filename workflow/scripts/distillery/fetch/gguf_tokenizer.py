"""The tokenizer inside a GGUF file as tokenizer.json and tokenizer_config.json.

A GGUF holds vocabulary, merges and token types, but only a name for the pre-tokenizer ("smollm"), whose
meaning is llama.cpp's table of split patterns (llama-vocab.cpp). `PRE_TOKENIZERS` has the known ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files
from distillery.fetch.gguf_model import field
from distillery.problems import Problem

if TYPE_CHECKING:
    from gguf import GGUFReader
    from tokenizers import Tokenizer

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4  # gguf's token types; others belong to sentencepiece models


def build(reader: GGUFReader) -> Tokenizer:
    """A byte-level BPE `tokenizers.Tokenizer` with the file's ids.

    Raises:
        Problem: another kind of tokenizer, an unknown pre-tokenizer, or token types of sentencepiece.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models

    kind, name = field(reader, "tokenizer.ggml.model"), field(reader, "tokenizer.ggml.pre", default="default")
    if kind != "gpt2":
        raise Problem(
            "unsupported tokenizer", where="tokenizer.ggml.model", found=kind, wanted="gpt2 (byte-level BPE)"
        )
    splits = _pre_tokenizers()
    if name not in splits:
        raise Problem(
            "unknown pre-tokenizer",
            where="tokenizer.ggml.pre",
            found=name,
            wanted=" or ".join(splits),
            fix="add its split pattern to distillery/fetch/gguf_tokenizer.py",
        )
    tokens, types = field(reader, "tokenizer.ggml.tokens"), field(reader, "tokenizer.ggml.token_type")
    if not all(isinstance(one, list) for one in (tokens, types)) or len(tokens) != len(types):
        raise Problem("tokens without types", where="tokenizer.ggml.token_type", wanted="one for each token")
    if set(types) - {NORMAL, CONTROL, USER_DEFINED}:
        raise Problem(
            "token types of another tokenizer", where="tokenizer.ggml.token_type", found=sorted(set(types))
        )
    try:
        merges = [tuple(merge.split(" ")) for merge in field(reader, "tokenizer.ggml.merges")]
        vocabulary = {token: i for i, token in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    except Problem:
        raise
    except Exception as error:  # tokenizers raises it itself
        raise Problem(
            "tokens or merges that make no BPE", where="tokenizer.ggml.merges", found=error
        ) from None
    tokenizer.pre_tokenizer = splits[name]
    tokenizer.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, types, strict=True):
        if kind != NORMAL:
            added = AddedToken(token, special=kind == CONTROL, normalized=False)
            (tokenizer.add_special_tokens if kind == CONTROL else tokenizer.add_tokens)([added])
    return tokenizer


def _pre_tokenizers() -> dict[str, Any]:
    from tokenizers import pre_tokenizers

    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    return {"gpt-2": gpt2, "smollm": pre_tokenizers.Sequence([digits, gpt2])}


def save(reader: GGUFReader, tokenizer: Tokenizer, directory: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, special tokens and chat template included."""
    files.write_text(directory / "tokenizer.json", tokenizer.to_str(pretty=True) + "\n")
    special: dict[str, str | None] = {}
    for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        number = field(reader, f"tokenizer.ggml.{theirs}_token_id", default=None)
        special[f"{ours}_token"] = None if number is None else tokenizer.id_to_token(number)
    config = {
        # a token that is not there begins nothing
        "add_bos_token": special["bos_token"] is not None
        and field(reader, "tokenizer.ggml.add_bos_token", default=False),
        "add_prefix_space": field(reader, "tokenizer.ggml.add_space_prefix", default=False),
        "clean_up_tokenization_spaces": False,
        "model_max_length": field(reader, "llama.context_length"),
        # the class that takes tokenizer.json as it is; the model-specific ones rebuild the pre-tokenizer
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    template = field(reader, "tokenizer.chat_template", default=None)
    files.write_json(
        directory / "tokenizer_config.json",
        config | special | ({"chat_template": template} if template else {}),
    )
