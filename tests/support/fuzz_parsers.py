"""Parsers of files that others wrote, each with a whole file to damage (fuzz_worker.py)."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from places import FIXTURES, ROOT
from safetensors import safe_open

from distillery import digests, late_files

DATA, SCRIPTS = ROOT / "config/examples/data", ROOT / "config/guide-scripts"
HUB = FIXTURES / "convert/msadapter/hf"
TEMPLATE = (
    "{% set ns = namespace(x=[]) %}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m.content | trim }}"
    "{% if not loop.last and m.role != 'system' %}{{ m | tojson }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' * 1 }}{{ strftime_now('%d') }}{% endif %}"
)


def called(module: str, name: str, *more: Any) -> Callable[[Path], object]:
    return lambda path: getattr(importlib.import_module(f"distillery.{module}"), name)(path, *more)


def rows(path: Path) -> None:
    from distillery.tokenize import readers

    for source in readers.sources(path):
        for block in source.blocks(source.columns()):
            len(block)


def gguf_directory(path: Path) -> None:
    from distillery.fetch import gguf_model, gguf_tokenizer

    reader = gguf_model.open_file(path)
    said = gguf_model.config(reader)
    gguf_tokenizer.build(reader)
    gguf_model.weights(reader, said)


def template(path: Path) -> None:
    from distillery.tokenize import limited_template

    made = limited_template.Template(path.read_text(errors="replace"), path)
    made.render(messages=[{"role": "user", "content": "a"}], add_generation_prompt=True)


def indexed(path: Path) -> None:
    from distillery.tokenize import indexed

    indexed.read(path.with_suffix(".bin"), path)


def a_gguf(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in [
        ("block_count", 1),
        ("context_length", 8),
        ("embedding_length", 4),
        ("feed_forward_length", 4),
    ]:
        writer.add_uint32(f"llama.{name}", value)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(["a", "b", "ab"])
    writer.add_token_types([1, 1, 1])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    layer = (
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "ffn_norm",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    )
    for name in ("token_embd", "output_norm", *(f"blk.0.{one}" for one in layer)):
        rows = 3 if name == "token_embd" else 4
        writer.add_tensor(f"{name}.weight", np.ones(4 if "norm" in name else (rows, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def a_prompt_file(path: Path) -> None:
    path.write_text(
        '{"prompt": "1 + 1", "id": 5, "seed": 3}\n{"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]}\n'
    )


def a_problem_set(path: Path) -> None:
    pq.write_table(pa.table({"uuid": ["a", "b"], "problem": ["1 + 1", "2 + 2"], "seed": [1, 2]}), path)


def an_index(path: Path) -> None:
    from distillery.tokenize import indexed

    made = indexed.Index(np.array([3, 0, 5], np.int32), np.array([0, 1, 3], np.int64))
    made.write(path)
    path.with_suffix(".bin").write_bytes(bytes(4 * 8))


def an_index_of_shards(path: Path) -> None:
    shard = path.with_name("model-00001-of-00001.safetensors")
    shutil.copy(DATA / "model/model.safetensors", shard)
    with safe_open(shard, "np") as opened:
        names = dict.fromkeys(opened.keys(), shard.name)
    path.write_text(json.dumps({"metadata": {"total_size": shard.stat().st_size}, "weight_map": names}))


def a_dataset_manifest(path: Path) -> None:
    from distillery.tokenize import dataset_files

    made = dataset_files.DatasetFiles(path.with_name("a"))
    for stem in made.stems:
        an_index(made.idx(stem))
    made.describe({"fields": list(made.stems), "tokens": 8, "rows": 2})
    digests.beside(path).unlink()  # else any damage is told by it


def dataset_manifest(path: Path) -> None:
    from distillery.tokenize import dataset_files

    dataset_files.DatasetFiles(path.with_name("a")).check(digests.read_json(path), "make it again")


def a_manifest(path: Path) -> None:
    shutil.copy(HUB / "config.json", path.parent)
    path.write_text(json.dumps({"files": digests.entries(path.parent, ["config.json"]), "iteration": 1}))


def manifest(path: Path) -> None:
    late_files.present(path.parent, ["config.json", "tokenizer.json"])
    digests.check_file(path.with_name("config.json"))


def of(source: Path) -> Callable[[Path], object]:
    """A copy of a file, or of all files beside one of that name."""
    return lambda path: (
        shutil.copytree(source.parent, path.parent, dirs_exist_ok=True)
        if source.parent == HUB
        else shutil.copy(source, path)
    )


# name: (the file that is damaged, what writes it whole, what reads it)
PARSERS: dict[str, tuple[str, Callable[[Path], object], Callable[[Path], object]]] = {
    "index": ("a.idx", an_index, indexed),
    "pt": ("a.pt", of(next((FIXTURES / "convert").rglob("*.pt"))), called("convert.torchfile", "read")),
    "safetensors": (
        "model.safetensors",
        of(DATA / "model/model.safetensors"),
        lambda path: called("convert.shards", "read")(path.parent),
    ),
    "gguf": ("a.gguf", a_gguf, gguf_directory),
    "template": ("a.jinja", lambda path: path.write_text(TEMPLATE), template),
    "prompts": ("a.jsonl", a_prompt_file, called("generate.prompts", "read")),
    "parquet prompts": ("a.parquet", a_problem_set, called("generate.prompts", "read")),
    "lock": ("a.json", of(ROOT / "config/locks/openr1-math-220k.json"), called("fetch.listing", "read")),
    "configuration": ("a.yaml", of(ROOT / "config/config.yaml"), called("config", "read")),
    "tokenizer": (
        "tokenizer.json",
        of(HUB / "tokenizer.json"),
        lambda path: called("tokenize.tokenizer", "load")(path.parent),
    ),
    "tokenizer_config": (
        "tokenizer_config.json",
        of(HUB / "tokenizer_config.json"),
        lambda path: called("tokenize.tokenizer", "load")(path.parent),
    ),
    "config.json": (
        "config.json",
        of(HUB / "config.json"),
        lambda path: called("model_config", "read")(path.parent),
    ),
    "index of shards": (
        "model.safetensors.index.json",
        an_index_of_shards,
        lambda path: called("convert.shards", "read")(path.parent),
    ),
    "dataset manifest": ("a_manifest.json", a_dataset_manifest, dataset_manifest),
    "manifest": ("manifest.json", a_manifest, manifest),
    "jsonl rows": ("a.jsonl", of(DATA / "sharegpt.jsonl"), rows),
    "csv rows": ("a.csv", of(DATA / "alpaca-history.csv"), rows),
    "parquet rows": ("a.parquet", of(DATA / "chat.parquet"), rows),
    "script": (
        "a.sh",
        of(SCRIPTS / "tune_distill_qwen_7b_full.sh"),
        lambda path: called("shell.importing", "together")([path]),
    ),
}
