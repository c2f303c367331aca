"""The plain ways of tokenizing a shard that bench_tokenize.py compares with.

python benchmarks/tokenize_peers.py NAME SHARD TOKENIZER PREFIX
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "workflow" / "scripts")]

SYSTEM = (
    "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
)
FIELDS = ("input_ids", "attention_mask", "labels")


def datasets_map(shard: Path, tokenizer: Path, prefix: Path) -> None:
    """The peer: what one writes with datasets and transformers when nothing is in the way."""
    import datasets
    import numpy as np
    from transformers import AutoTokenizer

    from distillery.tokenize import indexed
    from distillery.tokenize.dataset_files import DatasetFiles

    hub = AutoTokenizer.from_pretrained(tokenizer)
    end = hub.convert_tokens_to_ids("<|im_end|>")

    def tokenize(row: dict) -> dict:
        (question, answer) = (message["content"] for message in row["messages"])
        asked = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        source = [*hub.encode(SYSTEM, add_special_tokens=False), *hub.encode(asked, add_special_tokens=False)]
        target = [*hub.encode(answer, add_special_tokens=False), end]
        ids = source + target
        return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * len(source) + target}

    cache = str(prefix.parent / "cache")
    rows = datasets.load_dataset("parquet", data_files=str(shard), split="train", cache_dir=cache)
    rows = rows.map(tokenize, remove_columns=rows.column_names).with_format("numpy")
    made = DatasetFiles(prefix)
    lengths: list[int] = []
    streams = {field: made.bin(f"packed_{field}").open("wb") for field in FIELDS}
    for row in rows:
        lengths.append(len(row["input_ids"]))
        for field, stream in streams.items():
            stream.write(row[field].astype("<i4").tobytes())
    for stream in streams.values():
        stream.close()
    index = indexed.from_outcomes(np.array(lengths))
    for field in FIELDS:
        index.write(made.idx(f"packed_{field}"))


def encode_batch_fast(shard: Path, tokenizer: Path, prefix: Path) -> None:
    """The usual upper bound: only the encoding."""
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(tokenizer / "tokenizer.json")).encode_batch_fast
    tokens = 0
    for batch in pq.ParquetFile(shard).iter_batches(64, columns=["messages"]):
        texts = [message["content"] for row in batch.to_pylist() for message in row["messages"]]
        tokens += sum(len(each) for each in encode(texts, add_special_tokens=False))
    print(tokens, "tokens")


PEERS = {"datasets.map": datasets_map, "encode_batch_fast": encode_batch_fast}


if __name__ == "__main__":
    PEERS[sys.argv[1]](*map(Path, sys.argv[2:]))
