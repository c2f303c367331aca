"""Two runs from nothing give the same bytes, on one core or two, by Snakemake or by hand."""

from __future__ import annotations

import subprocess

from distillery import reproduction


def test_printed_commands_work_when_pasted_and_give_the_same_bytes(finished, tmp_path):
    """Every command of a dry run for one core, in order, in a plain shell of an empty directory."""
    asked = ["--dry-run", "--printshellcmds", "--directory", str(tmp_path), "--forceall", "--cores", "1"]
    dry = finished.snakemake(*asked)
    assert dry.returncode == 0, dry.stderr
    lines = [line.partition("Shell command: ")[2] for line in (dry.stdout + dry.stderr).splitlines()]
    commands = [line for line in lines if line and line != "None"]
    assert len(commands) > 15
    script = "\n".join(["set -e", *commands])
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # shards, tokens, weights of four kinds, answers and scores of both sides
    assert reproduction.compare(finished.path, tmp_path).same > 40
