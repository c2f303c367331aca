"""What a Hugging Face directory holds besides weights: config, tokenizer and generation settings, carried over.

Nothing is invented: files are copied byte for byte from the original model, except the type in config.json
where it changed, what a chat template record replaces, and sampling defaults that were asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import digests, json_files, late_files
from distillery.checkpoint_names import DONE
from distillery.convert import mcore, own_template
from distillery.convert.dtypes import DType, of
from distillery.convert.shards import INDEX, Shard
from distillery.digests import MANIFEST
from distillery.problems import Problem

CARRIED = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    own_template.FILE,
    "LICENSE",
)

CARD = "README.md"  # the model card, copied here for the hub; it is about the export that was


def as_json(value: Any) -> bytes:
    """Two-space JSON in the order of the keys, as transformers writes it."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def side_files(
    original: Path,
    dtype: DType,
    template: dict[str, Any] | None,
    sampling: Mapping[str, float] | None = None,
) -> dict[str, bytes]:
    """{file name: content} of all files but weights and manifest.

    Args:
        template: {"prompt_type", "eos_token", "eos_token_id", "stop_token_ids", "chat_template"} of the data the
            model was tuned on: with it, generation stops where training taught it to, and chats render the same.
        sampling: {"temperature", "top_k", "top_p"} that whoever serves the model draws with unless told otherwise;
            without it the original's stay.
    """
    side = {name: (original / name).read_bytes() for name in late_files.present(original, CARRIED)}
    digests.check_contents(original, side)
    read = {
        name: json_files.parse(data, original / name) for name, data in side.items() if name.endswith(".json")
    }
    config = read["config.json"]
    key = "dtype" if "dtype" in config else "torch_dtype"
    if config.get(key) is None or of(config[key], original / "config.json") != dtype:
        side["config.json"] = as_json({**config, key: dtype.torch})
    if template or sampling:
        generation = dict(read.get("generation_config.json", {}))
        if not generation:  # without the file, transformers takes these from config.json
            ids = ("bos_token_id", "eos_token_id", "pad_token_id")
            generation = {k: config[k] for k in ids if config.get(k) is not None}
        if template:
            generation["eos_token_id"] = template.get("stop_token_ids") or [template["eos_token_id"]]
            words = read.get("tokenizer_config.json", json_files.Record())
            own = own_template.kept(side, words, template, original)
            _apply(template, side, own)
        if sampling:
            generation |= {"do_sample": True, **sampling}
        side["generation_config.json"] = as_json(generation)
    return side


def _apply(template: dict[str, Any], side: dict[str, bytes], own: str | None) -> None:
    """Put training's template, and its end, in the place of the original's, which is kept beside it where it is `own`."""
    if "tokenizer_config.json" in side:
        tokenizer = json_files.loads(side["tokenizer_config.json"])
        tokenizer["eos_token"] = template["eos_token"]
        if template.get("chat_template") is not None:
            tokenizer["chat_template"] = template["chat_template"]
        side["tokenizer_config.json"] = as_json(tokenizer)
    if "special_tokens_map.json" in side:
        special = json_files.loads(side["special_tokens_map.json"])
        side["special_tokens_map.json"] = as_json({**special, "eos_token": template["eos_token"]})
    if template.get("chat_template") is not None:
        # transformers prefers this file to the key in tokenizer_config.json, older vLLM reads only the key
        side["chat_template.jinja"] = template["chat_template"].encode()
        side.pop("chat_template.json", None)
        side.pop(own_template.FILE, None)
    if own is not None:
        side[own_template.FILE] = own.encode()


def template_of(load_dir: Path) -> dict[str, Any] | None:
    """The template record that training (done.json) or resharding (manifest.json) left beside a checkpoint."""
    for name in (DONE, MANIFEST):
        if late_files.there(load_dir / name):
            record = digests.read_json(load_dir / name).get("template")
            if record:
                return record
    return None


def check_target(save_dir: Path) -> None:
    """Refuse to replace a directory in which there is anything that no export wrote.

    Raises:
        Problem: names the first such file.
    """
    if not save_dir.exists():
        return
    for path in sorted(save_dir.iterdir()):
        listed = path.name in (*CARRIED, CARD, INDEX, MANIFEST, digests.beside(save_dir / MANIFEST).name)
        ours = listed or path.suffix == ".safetensors"
        if not ours or path.is_dir():
            raise Problem(
                "the output directory holds files of something else, and would be replaced as a whole",
                where=path,
                fix="give --save-dir a directory of its own, or remove the file",
            )


def manifest(
    directory: Path,
    plans: list[Shard],
    side: list[str],
    dtype: DType,
    entries: list[mcore.Entry],
    template: dict[str, Any] | None,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """What manifest.json says. Weights are identified by the CRC-32 of every tensor, small files by sha256.

    A sha256 of the weights would take longer than writing them; `convert_verify.py` checks the CRCs.
    """
    weights = [{"name": plan.name, "bytes": plan.size} for plan in plans]
    content = {
        "format": "hf",
        "source": {"mcore": facts.get("source_digest")},
        "revision": None,
        "dtype": dtype.name,
        "files": sorted(weights + digests.entries(directory, side), key=lambda entry: entry["name"]),
        "tensors": {name: f"{crc:08x}" for _, name, _, _, crc in sorted(entries, key=lambda e: e[1])},
        "payload_digest": mcore.payload_digest(entries),
    }
    return content | ({"template": template} if template else {})
