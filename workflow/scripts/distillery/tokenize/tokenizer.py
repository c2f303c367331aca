"""A Hugging Face tokenizer directory, read with the `tokenizers` library alone (transformers takes seconds to import).

tokenizer.json holds the vocabulary and the pipeline; tokenizer_config.json and special_tokens_map.json name
the special tokens. What transformers adds on loading (tokens that only the config lists, class defaults) is added
here too, so that ids agree with `AutoTokenizer.from_pretrained(directory)`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillery import files
from distillery.problems import Problem

if TYPE_CHECKING:
    import tokenizers

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
    config: dict[str, Any]
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
        Problem: no tokenizer.json, or one that `tokenizers` cannot read.
    """
    import tokenizers

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
    try:
        backend = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise Problem(
            "tokenizer.json cannot be read", where=path, found=error, fix="fetch the file again"
        ) from None
    backend.no_truncation()
    backend.no_padding()
    config = _json(directory / "tokenizer_config.json")
    special = _json(directory / "special_tokens_map.json")
    defaults = CLASS_DEFAULTS.get(config.get("tokenizer_class", "").removesuffix("Fast"), {})
    tokens = {
        role: _text(config.get(f"{role}_token", special.get(f"{role}_token", defaults.get(role))))
        for role in ROLES
    }
    tokenizer = HubTokenizer(backend, directory, tokens, config, files.sha256(path), _added(backend))
    _add_listed(tokenizer, config)
    return tokenizer


def _added(backend: tokenizers.Tokenizer) -> dict[str, tuple[bool, ...]]:
    return {
        token.content: (token.single_word, token.lstrip, token.rstrip, token.normalized)
        for _, token in sorted(backend.get_added_tokens_decoder().items())
    }


def _add_listed(tokenizer: HubTokenizer, config: dict[str, Any]) -> None:
    from tokenizers import AddedToken

    known = {token.content for token in tokenizer.backend.get_added_tokens_decoder().values()}
    listed = sorted(config.get("added_tokens_decoder", {}).items(), key=lambda item: int(item[0]))
    for _, token in listed:
        if token["content"] not in known:
            flags = {
                key: token[key] for key in ("single_word", "lstrip", "rstrip", "normalized") if key in token
            }
            add = (
                tokenizer.backend.add_special_tokens if token.get("special") else tokenizer.backend.add_tokens
            )
            add([AddedToken(token["content"], **flags)])
            known.add(token["content"])
    more = [*tokenizer.tokens.values(), *map(_text, config.get("additional_special_tokens") or [])]
    missing = [token for token in dict.fromkeys(more) if token and token not in known]
    if missing:
        tokenizer.add(missing)


def _json(path: Path) -> dict[str, Any]:
    return files.read_json(path) if path.is_file() else {}


def _text(token: Any) -> str | None:
    """A special token is written as its text or as {"content": text, ...}."""
    return token["content"] if isinstance(token, dict) else token
