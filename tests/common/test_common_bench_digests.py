"""bench_digests.py measures what it says: its side without comparisons compares nothing, and each name that it takes is there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import bench_digests  # noqa: E402

from distillery import digests  # noqa: E402

READ = """
from pathlib import Path
path = Path(sys.argv[1])
calls = [
    lambda: digests.read_bytes(path),
    lambda: list(digests.lines(path)),
    lambda: digests.read_json(path),
    lambda: digests.json_lines(path),
    lambda: digests.check_file(path),
    lambda: digests.check(path, "0"),
    lambda: digests.check_contents(path.parent, {path.name: path.read_bytes()}),
    lambda: stored_bytes._check_sha256(path.parent, path.name, "0"),
    lambda: stored_bytes.Span(path, 0, 4, 0, "x")(),
    lambda: dataset_files.DatasetFiles(path, ("a",)).check({"crc32": {"a_document.bin": 1}}, "make it again"),
]
found = []
for call in calls:
    try:
        call()
        found.append("taken")
    except digests.Problem:
        found.append("taught")
print(*found, digests.intact(path))
"""


@pytest.mark.parametrize(("prelude", "said"), [("", "taught"), (bench_digests.WITHOUT, "taken")])
def test_one_side_compares_and_the_other_does_not(tmp_path, prelude, said):
    path = tmp_path / "a.json"
    digests.write_json(path, {"value": 1})
    path.write_text('{"value": 2}')
    code = bench_digests.WITH + prelude + READ
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [said] * 10 + [str(said == "taken")]


def test_each_name_that_is_replaced_is_one_of_the_librarys():
    names = re.findall(r"([\w.]+) =(?!=)", bench_digests.WITHOUT)
    assert len(names) == 11
    subprocess.run([sys.executable, "-c", f"{bench_digests.WITH}{chr(10).join(names)}"], check=True)
