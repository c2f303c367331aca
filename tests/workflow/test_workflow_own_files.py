"""Files of one's own: what is replaced is noticed, whatever its time says, and what is not is left alone."""

from __future__ import annotations

import copy
import os
import shutil
from pathlib import Path

import forked
import pytest
import yaml
from places import FIXTURES, ROOT

CONFIG = {
    "models": {"own": {"path": {"path": "my model"}}},
    "datasets": {
        "own": {"source": {"path": {"path": "my data", "files": "*.jsonl"}}, "handler_name": "auto"}
    },
    "problem_sets": {"held": {"generator": {"seed": 0, "rows": 4}}},
    "experiments": {
        "e": {
            "model": "own",
            "dataset": "own",
            "problems": "held",
            "prompt_type": "qwen",
            "seq_length": 64,
            "train": {"train_iters": 2, "lr": 1.0e-3},
        }
    },
}


def snakemake(folder: Path, *more: str) -> str:
    words = ["-s", ROOT / "Snakefile", "--cores", "1", "--configfile", "c.yaml", *more]
    done = forked.run(forked.SNAKEMAKE, *words, cwd=folder, env=forked.jobs())
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def laid(tmp_path: Path) -> Path:
    """A model, two files of rows and their configuration."""
    shutil.copytree(FIXTURES / "convert/hf/tiny", tmp_path / "my model")
    shutil.copytree(FIXTURES / "tokenize/tokenizers/full", tmp_path / "my model", dirs_exist_ok=True)
    (tmp_path / "my model/chat_template.jinja").write_text("{{ messages[0].content }}")
    (tmp_path / "my data").mkdir()
    for name in ("a", "b (1)"):
        (tmp_path / "my data" / f"{name}.jsonl").write_text(f'{{"question": "{name}?", "answer": "1"}}\n')
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(CONFIG))
    return tmp_path


@pytest.mark.slow
def test_replaced_files_are_due_again(laid: Path) -> None:
    """Older than what was made of those before, as `rsync -t` and `cp -p` leave them."""
    snakemake(laid, "--until", "fetch_path_model", "fetch_digest")
    until = ["-n", "--until", "fetch_path_model", "fetch_digest"]
    assert "rule fetch_path" not in snakemake(laid, *until)
    # each file of a model counts, not its weights or config.json alone
    for name in ("tokenizer.json", "chat_template.jinja"):
        path = laid / "my model" / name
        whole, stat = path.read_bytes(), path.stat()
        path.write_bytes(whole + b"\n")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        due = snakemake(laid, *until)
        assert due.count("rule fetch_path_model:") == 1 and "rule fetch_path_shard:" not in due
        path.write_bytes(whole)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert "rule fetch_path" not in snakemake(laid, *until)
    for path in (laid / "my model/model.safetensors", laid / "my data/b (1).jsonl"):
        path.write_bytes(path.read_bytes()[:-1] + b"\0")
        os.utime(path, (1_000_000_000, 1_000_000_000))
    due = snakemake(laid, *until)
    assert due.count("rule fetch_path_model:") == 1 and due.count("rule fetch_path_shard:") == 1
    assert "b_1_.jsonl" in due and "output: resources/datasets/own/a.jsonl" not in due


@pytest.mark.slow
def test_a_file_that_several_jobs_read(laid: Path) -> None:
    """Divided or not, the merged bytes are the same; and only the spans of a file that changed are due again."""
    until = ["--until", "tokenize_merge"]
    results, bytes_of = laid / "results/datasets/own", {}
    rows = laid / "my data/b (1).jsonl"
    rows.write_text("".join(f'{{"question": "{n}?", "answer": "{n}"}}\n' for n in range(5)))
    for jobs in (1, 2):
        config = copy.deepcopy(CONFIG)
        config["datasets"]["own"]["jobs_per_shard"] = jobs
        (laid / "c.yaml").write_text(yaml.safe_dump(config))
        snakemake(laid, *until)
        merged = [path for path in results.glob("*/own_*") if path.is_file()]
        bytes_of[jobs] = {path.name: path.read_bytes() for path in merged}
    assert bytes_of[1] == bytes_of[2] and len(bytes_of[1]) == 8
    assert len(list(results.glob("*/shards/b_1_~rows-?-of-2_manifest.json"))) == 2
    rows.write_text(rows.read_text().replace("4?", "5?"))
    due = snakemake(laid, "-n", *until)
    assert due.count("rule tokenize_shard:") == 2 and due.count("output: results") == 3
    assert "/a~rows" not in due.partition("rule tokenize_merge:")[0]
