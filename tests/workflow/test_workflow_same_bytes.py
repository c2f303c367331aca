"""Two runs from nothing give the same bytes, on one core or two."""

from __future__ import annotations

from house import House

from distillery import reproduction


def test_a_second_run_is_byte_identical(finished, tmp_path):
    again = House(tmp_path / "again", finished.configfile)
    done = again.snakemake("--cores", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    # shards, tokens, weights of four kinds, answers and scores of both sides
    assert reproduction.compare(finished.path, again.path) > 40
