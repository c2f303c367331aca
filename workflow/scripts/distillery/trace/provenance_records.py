"""What made each product of an experiment: rule, command, code, inputs with their digests, versions; no times, no machine's paths.

Snakemake keeps of each output what it ran (`.snakemake/metadata`); digests lie beside the files. Both are read here, after the run, so
that nothing of it is in a payload or in what reruns and resumes are decided by.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distillery import digests, files, json_files, resource_samples
from distillery.experiment import Config
from distillery.problems import Problem
from distillery.verify import standing

METADATA = Path(".snakemake/metadata")
CODE = re.compile(r"'([0-9a-f]{16})'")  # of `provenance.code`, as Snakemake shows the param
SCRIPT = re.compile(r"(?:.*/)?(workflow/scripts/\w+\.py)")


def of(config: Config) -> list[dict[str, Any]]:
    """A record for each product of all selected experiments that is there, in the order in which they are made.

    Returns:
        `path`, `bytes`, `sha256`, `rule`, `command` (words), `code`, `inputs` ({path: sha256}) and `versions` ({package: version}, None
        where the job left no samples). Of what Snakemake did not make, or made before its metadata were removed, the first three.

    Raises:
        Problem: nothing has been run here.
    """
    products = dict.fromkeys(one.path for name in config.experiments for one in standing.of(config, name))
    found = [_record(path) for path in products if path.is_file()]
    if not any("rule" in one for one in found):
        raise Problem(
            "nothing tells how the files here were made",
            where=METADATA,
            found=f"{len(found)} of {len(products)} files, none with a record of Snakemake",
            fix="run the experiment here first: make run",
        )
    return found


def _record(path: Path) -> dict[str, Any]:
    known = {"path": str(path), "bytes": path.stat().st_size, "sha256": digest_of(path)}
    kept = _kept(path)
    if kept is None or not kept.get("shellcmd"):
        return known
    log = next(iter(kept.get("log") or []), None)
    return {
        **known,
        "rule": kept["rule"],
        "command": command(kept["shellcmd"], Path.cwd()),
        "code": next(iter(_codes(kept)), None),
        "inputs": {name: digest_of(Path(name)) for name in sorted(kept["input"]) if Path(name).is_file()},
        "versions": _versions(Path(log)) if log else None,
    }


def _kept(path: Path) -> json_files.Record | None:
    """What Snakemake kept of an output; long names lie in folders of 255 characters each."""
    name = base64.b64encode(str(path).encode()).decode()
    parts = [name[at : at + 255] for at in range(0, len(name), 255)]
    *folders, last = parts
    place = METADATA.joinpath(*(f"@{part}" for part in folders), last)
    return json_files.read(place) if place.is_file() else None


def _codes(kept: json_files.Record) -> Iterator[str]:
    for param in kept.get("params") or []:
        if match := CODE.fullmatch(param):
            yield match[1]


def command(shell: str, here: Path) -> list[str]:
    """The words of a command as they would be said in any clone: its interpreter is `python`, places elsewhere keep their last name."""
    words = shlex.split(shell)
    start = next((place for place, word in enumerate(words) if SCRIPT.fullmatch(word)), 0)
    script = SCRIPT.sub(r"\1", words[start])
    return ["python", script, *(_portable(word, here) for word in words[start + 1 :])]


def _portable(word: str, here: Path) -> str:
    name, equals, value = word.partition("=")
    if equals and value.startswith("/"):
        return f"{name}={_portable(value, here)}"
    if not word.startswith("/"):
        return word
    path = Path(word)
    return str(path.relative_to(here)) if path.is_relative_to(here) else f"…/{path.name}"


def digest_of(path: Path) -> str:
    """The recorded sha256 of a file, else that of its bytes."""
    known = digests.wanted(path)
    return known[0] if known else files.sha256(path)


def _versions(log: Path) -> dict[str, str] | None:
    samples = resource_samples.read(resource_samples.beside(log))
    machine = samples[0].get("machine") if samples else None
    return machine["versions"] if machine else None
