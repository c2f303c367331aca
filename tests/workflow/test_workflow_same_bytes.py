"""Two runs from nothing give the same bytes, on one core or two, by Snakemake or by hand."""

from __future__ import annotations

import subprocess
from tempfile import TemporaryFile

import forked
import forking_snakemake

from distillery import reproduction


def test_printed_commands_work_when_pasted_and_give_the_same_bytes(finished, tmp_path):
    """Every command of a dry run for one core, in order, in a plain shell of an empty directory.

    Their processes are forked, where those of the finished run are interpreters of their own.
    """
    asked = ["--dry-run", "--printshellcmds", "--directory", str(tmp_path), "--forceall", "--cores", "1"]
    dry = finished.snakemake(*asked)
    assert dry.returncode == 0, dry.stderr
    lines = [line.partition("Shell command: ")[2] for line in (dry.stdout + dry.stderr).splitlines()]
    commands = [line for line in lines if line and line != "None"]
    assert len(commands) > 15
    folder = forked.jobs()[forked.JOBS]
    script = "\n".join(["set -e", *(forking_snakemake.asked(line, folder) for line in commands)])
    with TemporaryFile("w+") as said:  # a file, as what the server that forks them was started with
        done = subprocess.run(["sh", "-c", script], cwd=tmp_path, stdout=said, stderr=said, check=False)
        said.seek(0)
        assert done.returncode == 0, said.read()
    # shards, tokens, weights of four kinds, answers and scores of both sides
    assert reproduction.compare(finished.path, tmp_path).same > 40


def test_a_second_run_finds_what_a_configuration_names_by_relative_paths(finished, tmp_path):
    """A source, and a human's verdicts; nothing that the first run made."""
    rows = finished.path / "my rows/rows.jsonl"
    overrules = finished.path / "config/overrules/sums-heldout.jsonl"
    for path in (rows, overrules):
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}\n")
    source = 'source:\n      path: {path: "my rows", files: rows.jsonl}'
    old = "source:\n      generator: {seed: 5, shards: 2, rows_per_shard: 60}"
    try:
        with finished.replaced("experiment.yaml", old, source):
            reproduction.bare(finished.path, tmp_path)
            asked = ["--dry-run", "--directory", str(tmp_path)]
            dry = finished.snakemake(*asked, "tokenize")
    finally:
        for path in (rows, overrules):
            path.unlink()
    assert dry.returncode == 0 and "absent-source" not in dry.stderr, dry.stderr
    assert (tmp_path / "config/overrules").exists() and not (tmp_path / "results").exists()
    assert {"fetch_path_shard", "fetch_path_model"} & set(dry.stdout.split() + dry.stderr.split())
