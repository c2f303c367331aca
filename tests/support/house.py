"""A copy of the project with a finished run in it, to edit and ask what would rerun."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import forked
from places import ROOT

# what a folder may be called that somebody clones into: quotes, braces, what shells and Snakemake would expand
HOSTILE_NAME = """it's {a} $HOME "q" 数学 #&;%s *?[c] `touch CANARY` {"""
PARTS = ["Snakefile", "workflow", "config", "envs", "profiles"]


class House:
    """The project copied to `path` with one configuration file; without that file, as it stands at `path`."""

    def __init__(self, path: Path, configfile: Path | None = None) -> None:
        self.path, self.configfile = path, path / "experiment.yaml"
        if configfile is not None:
            self._build(configfile)

    def _build(self, configfile: Path) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            source, copy = ROOT / part, self.path / part
            if source.is_dir():
                # with byte code and what `provenance` remembers of each module: they go by times and contents
                shutil.copytree(source, copy, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy2(source, copy)
        shutil.copy2(configfile, self.configfile)

    def copied(self, path: Path) -> House:
        """All of it, with what was run in it, at `path`: to be changed."""
        shutil.copytree(self.path, path, symlinks=True, dirs_exist_ok=True)
        return House(path)

    def snakemake(
        self, *arguments: str, configfile: Path | None = None, own: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Snakemake in this folder; its jobs are forked (see `forked.jobs`), or interpreters of their `own`."""
        chosen = configfile or self.configfile
        env = forked.jobs() if "--cores" in arguments and not own else None
        return forked.run(forked.SNAKEMAKE, "--configfile", chosen, *arguments, cwd=self.path, env=env)

    def default(self, *arguments: str) -> str:
        """What Snakemake prints of the configuration that it finds by itself."""
        done = forked.run(forked.SNAKEMAKE, *arguments, cwd=self.path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def verify(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """verify.py of this copy's configuration."""
        command = [
            sys.executable,
            "workflow/scripts/verify.py",
            "--configfile",
            str(self.configfile),
            *arguments,
        ]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)

    def run(self, *arguments: str, own: bool = False) -> None:
        done = self.snakemake("--cores", "2", *arguments, own=own)
        assert done.returncode == 0, done.stdout + done.stderr

    def planned(self, *arguments: str) -> Counter[str]:
        """Jobs by rule that a run would start now, `all` left out."""
        dry = self.snakemake("--dry-run", *arguments)
        text = dry.stdout + dry.stderr
        assert dry.returncode == 0, text
        if "Nothing to be done" in text:
            return Counter()
        table = text.partition("Job stats:")[2].partition("total")[0]
        jobs = Counter(
            {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)}
        )
        del jobs["all"]
        return jobs

    @contextmanager
    def edited(self, name: str | Path, content: bytes | None = None) -> Iterator[Path]:
        """Give a file new bytes (or only a new time), and everything back afterwards."""
        path = self.path / name
        before, times = path.read_bytes(), path.stat()
        path.write_bytes(before if content is None else content)
        try:
            yield path
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def replaced(self, name: str | Path, old: str, new: str):
        text = (self.path / name).read_text()
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {name}"
        return self.edited(name, text.replace(old, new).encode())
