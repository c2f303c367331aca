"""One file on hubs that misbehave, and what must lie here after it was fetched."""

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hub_listings import SHA1
from hub_server import HubServer

from distillery import arrow_arrays
from distillery.fetch import arrivals
from distillery.fetch.listing import Listing, RemoteFile
from distillery.fetch.transfer import Policy

NAME = "data/train-00000-of-00001.parquet"
QUICK = Policy(retries=3, backoff=0.001, timeout=0.4, min_speed=20_000)


def parquet(seed: int, rows: int = 20_000) -> bytes:
    """A parquet file of some 160 kB that does not compress."""
    sink = pa.BufferOutputStream()
    numbers = random.Random(seed)
    column = arrow_arrays.array([numbers.getrandbits(62) for _ in range(rows)], pa.int64())
    pq.write_table(pa.Table.from_arrays([column], ["x"]), sink, use_dictionary=False)
    return sink.getvalue().to_pybytes()


RIGHT, OTHER = parquet(1), parquet(2)
assert len(RIGHT) == len(OTHER), "two revisions of one size, so that only digests tell them apart"


def lock(**changed) -> Listing:
    known = {"bytes": len(RIGHT), "sha256": hashlib.sha256(RIGHT).hexdigest()} | changed
    one = RemoteFile(NAME, **known)
    return Listing("huggingface", "lab/math", "dataset", "main", SHA1, "2025-02-10T12:00:00Z", (one,))


def fetch(
    folder: Path, *servers: HubServer | str, made: Listing | None = None, policy: Policy = QUICK
) -> Path:
    output = folder / "shards/train-00000-of-00001.parquet"
    urls = [one if isinstance(one, str) else one.url for one in servers]
    arrivals.shard(made or lock(), NAME, output, endpoints=urls, policy=policy, offline=False)
    return output


def assert_right(output: Path) -> None:
    assert output.read_bytes() == RIGHT
    assert output.stat().st_mode & 0o777 == 0o444
    assert sorted(path.name for path in output.parent.iterdir()) == [
        f".{output.name}.manifest.json.sha256",
        output.name,
        f"{output.name}.manifest.json",
    ]


def assert_no_file(folder: Path) -> None:
    assert not (folder / "shards/train-00000-of-00001.parquet").exists()
