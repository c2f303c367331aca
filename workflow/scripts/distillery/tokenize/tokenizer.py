"""A Hugging Face tokenizer directory, read with the `tokenizers` library alone (transformers takes seconds to import).

tokenizer.json holds the vocabulary and the pipeline; tokenizer_config.json and special_tokens_map.json name
the special tokens. What transformers adds on loading (tokens that only the config lists, class defaults) is added
here too, so that ids agree with `AutoTokenizer.from_pretrained(directory)`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import digests, json_files, late_files
from distillery.problems import Problem
from distillery.tokenize import growth

if TYPE_CHECKING:
    import tokenizers

FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
AGAIN = "fetch the file again"
ROLES = ("bos", "eos", "pad", "unk")
# what a tokenizer class takes when tokenizer_config.json does not mention the token at all
CLASS_DEFAULTS: dict[str, dict[str, str]] = {
    "GPT2Tokenizer": dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>"),
    "Qwen2Tokenizer": dict.fromkeys(("eos", "pad", "unk"), "<|endoftext|>"),
    "LlamaTokenizer": {"bos": "<s>", "eos": "</s>", "unk": "<unk>"},
    "GemmaTokenizer": {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>"},
}
# classes that prepend bos (and append eos) by flags of the config, whatever tokenizer.json says
BOS_BY_FLAG = {"LlamaTokenizer": (True, False), "GemmaTokenizer": (True, False)}


@dataclass
class HubTokenizer:
    """Text to ids and back.

    Attributes:
        tokens: {"bos": token or None, "eos": ..., "pad": ..., "unk": ...}.
        sha256: of tokenizer.json.
        file_tokens: the added tokens of tokenizer.json, as `added_tokens` gives them.
        new_tokens: what was added here beyond the files' own vocabulary; a model may have no row for these ids.
    """

    backend: tokenizers.Tokenizer
    directory: Path
    tokens: dict[str, str | None]
    config: json_files.Record
    sha256: str
    file_tokens: dict[str, tuple[bool, ...]]
    new_tokens: list[str] = field(default_factory=list)

    def id_of(self, token: str | None) -> int | None:
        """The vocabulary entry `token`, or None."""
        return None if token is None else self.backend.token_to_id(token)

    def special_id(self, role: str) -> int | None:
        """Id of the bos, eos, pad or unk token, or None where there is none."""
        return self.id_of(self.tokens[role])

    def add(self, tokens: list[str]) -> None:
        """Make each of `tokens` a special token; those that the vocabulary lacks get new ids at its end."""
        from tokenizers import AddedToken

        self.new_tokens += [token for token in tokens if self.id_of(token) is None]
        self.backend.add_special_tokens(
            [AddedToken(token, normalized=False, special=True) for token in tokens]
        )

    def added_tokens(self) -> dict[str, tuple[bool, ...]]:
        """{text: how it is matched} of the tokens that are cut out of a text before it is split."""
        return _added(self.backend)

    def special_tokens(self) -> dict[str, int]:
        """{text: id} of the tokens that the vocabulary marks as special."""
        added = self.backend.get_added_tokens_decoder()
        return {token.content: number for number, token in sorted(added.items()) if token.special}

    def encode(self, text: str) -> list[int]:
        """Ids without bos or eos; text that spells an added token becomes that token."""
        return self.backend.encode(text, add_special_tokens=False).ids

    def affixes(self) -> tuple[list[int], list[int]]:
        """Ids that this tokenizer puts before and after a whole document (bos, eos), often none."""
        name = self.config.get("tokenizer_class", "").removesuffix("Fast")
        if name in BOS_BY_FLAG:
            bos, eos = (
                [self.special_id(role)]
                if self.config.get(f"add_{role}_token", default) and self.tokens[role]
                else []
                for role, default in zip(("bos", "eos"), BOS_BY_FLAG[name], strict=True)
            )
            return bos, eos  # type: ignore[return-value]
        bare = self.encode("a")
        whole = self.backend.encode("a", add_special_tokens=True).ids
        start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def size(self) -> int:
        """Entries of the vocabulary, added tokens included."""
        return self.backend.get_vocab_size(with_added_tokens=True)


def load(directory: Path) -> HubTokenizer:
    """Read the tokenizer of a Hugging Face directory.

    Raises:
        Problem: no tokenizer.json, one that `tokenizers` cannot read, or that lets texts grow beyond sense.
    """
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise Problem(
            "no tokenizer here",
            where=directory,
            found=", ".join(sorted(each.name for each in directory.glob("*"))[:8]) or "nothing",
            wanted="tokenizer.json (a fast tokenizer) beside tokenizer_config.json",
            fix="give the model's directory to --tokenizer-name-or-path; a tokenizer that has only tokenizer.model is "
            'converted by: python -c "from transformers import AutoTokenizer as T; '
            "T.from_pretrained('DIR').save_pretrained('DIR')\"",
        )
    names = (path.name, "tokenizer_config.json", "special_tokens_map.json")
    contents = {name: (directory / name).read_bytes() for name in late_files.present(directory, names)}
    digests.check_contents(directory, contents)
    try:
        backend = _parsed(contents[path.name])
    except BaseException as error:  # tokenizers raises plain Exception, and panics, which are none
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise Problem(
            "tokenizer.json cannot be read", where=path, found=error, fix="fetch the file again"
        ) from None
    growth.check(backend, path)
    backend.no_truncation()
    backend.no_padding()
    config, special = (json_files.parse(contents.get(name, b"{}"), directory / name) for name in names[1:])
    defaults = CLASS_DEFAULTS.get(config.typed("tokenizer_class", str, "").removesuffix("Fast"), {})
    tokens = {}
    for role in ROLES:
        key = f"{role}_token"
        held = config if key in config else special
        tokens[role] = _text(held.get(key, defaults.get(role)), f"{held.where}, {key}")
    sha256 = hashlib.sha256(contents[path.name]).hexdigest()
    tokenizer = HubTokenizer(backend, directory, tokens, config, sha256, _added(backend))
    _add_listed(tokenizer, config)
    return tokenizer


def _parsed(content: bytes) -> tokenizers.Tokenizer:
    import tokenizers

    return tokenizers.Tokenizer.from_buffer(content)


def _added(backend: tokenizers.Tokenizer) -> dict[str, tuple[bool, ...]]:
    return {
        token.content: (token.single_word, token.lstrip, token.rstrip, token.normalized)
        for _, token in sorted(backend.get_added_tokens_decoder().items())
    }


def _add_listed(tokenizer: HubTokenizer, config: json_files.Record) -> None:
    from tokenizers import AddedToken

    known = {token.content for token in tokenizer.backend.get_added_tokens_decoder().values()}
    listed = config.typed("added_tokens_decoder", dict, json_files.Record())
    for number in sorted(listed, key=lambda one: _number(one, listed)):
        token = listed.typed(number, dict)
        content = token.typed("content", str)
        if content not in known:
            flags = {key: token.typed(key, bool) for key in FLAGS if key in token}
            special = token.typed("special", bool, False)
            add = tokenizer.backend.add_special_tokens if special else tokenizer.backend.add_tokens
            add([AddedToken(content, **flags)])
            known.add(content)
    more = [
        *tokenizer.tokens.values(),
        *_texts(config, "additional_special_tokens"),
        *_texts(config, "extra_special_tokens"),
    ]
    missing = [token for token in dict.fromkeys(more) if token and token not in known]
    if missing:
        tokenizer.add(missing)


def _number(text: str, listed: json_files.Record) -> int:
    if not text.isdecimal():
        raise Problem(
            "an id that is no number", where=listed.where, found=text, wanted="a token's id", fix=AGAIN
        )
    return int(text)


def _texts(config: json_files.Record, key: str) -> list[str | None]:
    """Tokens of a key: a list of them, or, as transformers 5 also writes it, an object of names to tokens."""
    value = config.get(key)
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | None):
        wanted = "a list of tokens, or an object of names and tokens"
        raise Problem(
            "not special tokens",
            where=f"{config.where}, {key}",
            found=repr(value)[:200],
            wanted=wanted,
            fix=AGAIN,
        )
    return [_text(one, f"{config.where}, {key}") for one in value or []]


def _text(token: Any, where: str) -> str | None:
    """A special token is written as its text or as {"content": text, ...}."""
    if isinstance(token, json_files.Record):
        return token.typed("content", str)
    if not isinstance(token, str | None):
        raise Problem(
            "not a token",
            where=where,
            found=repr(token)[:200],
            wanted="a text, or an object with content",
            fix=AGAIN,
        )
    return token
