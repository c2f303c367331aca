"""What made each file of a run: rule, command, settings, code, inputs with their digests, versions; no times, no machine's paths.

    provenance_records.write()       # results/provenance/PATH.json of each output of the workflow that is there

Snakemake keeps of each output what it ran (`.snakemake/metadata`), digests lie beside the files, and versions beside the logs. All are
read here, after the run, so that nothing of it is in a payload or in what reruns and resumes are decided by.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shlex
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from distillery import (
    artefacts,
    digests,
    files,
    json_files,
    loaded_packages,
    notes,
    provenance,
    resource_samples,
)
from distillery.addresses import masked
from distillery.problems import Problem

METADATA = Path(".snakemake/metadata")
CODE = re.compile(r"'([0-9a-f]{16})'")  # of `provenance.code`, as Snakemake shows the param
SCRIPT = re.compile(r"(?:.*/)?(workflow/scripts/\w+\.py)")
TOPS = ("results", "resources", "logs")
SEAL = "digest"  # of a record's other fields

Record = dict[str, Any]


def write() -> dict[str, Record]:
    """Write the record of every output that is there, and return them by path, in the paths' order; those that stand are read.

    A record has `path`, `bytes`, `sha256`, `rule`, `command` (words), `settings` ({flag: words} of the configuration's leaves in
    it), `code`, `inputs` ({path: sha256, None of one that is gone}), `versions` ({package: version} of what the command had loaded, None
    where the job left no note) and `digest` of all these. Those of files that are gone are removed.

    Raises:
        Problem: what Snakemake kept cannot be read.
    """
    digest_of = Digests()
    found = {str(path): _record(path, kept, digest_of) for path, kept in _outputs() if path.is_file()}
    prune()
    return dict(sorted(found.items()))


def place(path: Path | str) -> Path:
    """Where the record of a file lies."""
    return Path(artefacts.PROVENANCE.at(path=str(path)))


def prune() -> None:
    """Remove the records of files that are no more, and folders that this leaves empty."""
    top = Path(artefacts.PROVENANCE.folder)
    for folder, _, names in os.walk(top, topdown=False):
        here = Path(folder)
        for name in names:
            if not Path(os.path.relpath(here / name, top).removesuffix(".json")).exists():
                (here / name).unlink(missing_ok=True)
        if not any(here.iterdir()):
            here.rmdir()


def _outputs() -> Iterator[tuple[Path, Path]]:
    """(output, what Snakemake kept of it) of every one it ever made here; long names lie in folders of 255 characters each."""
    for folder, _, names in os.walk(METADATA):
        before = [one.removeprefix("@") for one in Path(folder).relative_to(METADATA).parts]
        for name in names:
            try:
                yield Path(base64.b64decode("".join([*before, name])).decode()), Path(folder, name)
            except (binascii.Error, UnicodeDecodeError):  # an unfinished file of Snakemake's
                continue


def _record(path: Path, kept: Path, digest_of: Digests) -> Record:
    """The record that stands if it is of the command that ran last, else a new one."""
    target = place(path)
    standing = read(target)
    current = standing and target.stat().st_mtime_ns >= kept.stat().st_mtime_ns
    if current and standing["sha256"] == digest_of(path):  # else its line was said again by hand
        return standing
    made = _made(path, json_files.read(kept), digest_of)
    made[SEAL] = provenance.digest(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    # one that a power cut spoils is seen by its seal, and made again of the same
    notes.write(target, json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    return made


def read(target: Path) -> Record | None:
    """A record as it was written; None where there is none, or another than was written."""
    try:
        found = json_files.loads(target.read_bytes())
        whole = provenance.digest({key: value for key, value in found.items() if key != SEAL})
        return found if found[SEAL] == whole else None
    except (OSError, ValueError, AttributeError, KeyError):
        return None


def _made(path: Path, kept: json_files.Record, digest_of: Digests) -> Record:
    here = Path.cwd()
    logs = [Path(one) for one in kept.get("log") or []]
    names = sorted(map(str, kept["input"]))
    words = command(kept["shellcmd"], here) if kept.get("shellcmd") else []
    return {
        "path": str(path),
        "bytes": path.stat().st_size,
        "sha256": digest_of(path),
        "rule": kept["rule"],
        "command": words,
        "settings": settings(words, {_portable(one, here) for one in names}),
        "code": next(iter(_codes(kept)), None),
        "inputs": {_portable(one, here): digest_of(Path(one)) for one in names},
        "versions": _versions(logs),
    }


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


def settings(words: Iterable[str], inputs: Collection[str]) -> dict[str, list[str]]:
    """{flag: its words} of a command, but for the flags whose words are inputs, or places of the workflow: what of its line was chosen."""
    found: dict[str, list[str]] = {}
    flag = ""
    for word in words:
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            found[flag] = [value] if equals else []
        elif flag:
            found[flag].append(word)

    def is_place(word: str) -> bool:
        return word in inputs or word.rpartition("=")[2].partition("/")[0] in TOPS

    return {flag: said for flag, said in found.items() if not said or not all(map(is_place, said))}


def _portable(word: str, here: Path) -> str:
    word = masked(word)  # the crate is for others
    if word.startswith(("{", "[")):
        with suppress(ValueError):
            return provenance.canonical(_mapped(json_files.loads(word), here))
    name, equals, value = word.partition("=")
    if equals and value.startswith("/"):
        return f"{name}={_portable(value, here)}"
    if not word.startswith("/"):
        return word
    path = Path(word)
    return str(path.relative_to(here)) if path.is_relative_to(here) else f"…/{path.name}"


def _mapped(value: Any, here: Path) -> Any:
    """Settings in JSON, their texts as words."""
    if isinstance(value, dict):
        return {key: _mapped(one, here) for key, one in value.items()}
    if isinstance(value, list):
        return [_mapped(one, here) for one in value]
    return _portable(value, here) if isinstance(value, str) else value


def _versions(logs: list[Path]) -> dict[str, str] | None:
    """Of what the command had loaded; of one whose ranks computed also what its machine had, by the samples beside its log."""
    found: dict[str, str] = {}
    for log in logs:
        samples = resource_samples.read(resource_samples.beside(log))
        machine = samples[0].get("machine") if samples else None
        found |= (machine or {}).get("versions", {})
        found |= loaded_packages.read(log) or {}
    return dict(sorted(found.items())) or None


class Digests:
    """The sha256 of files: the recorded one where there is one, else that of the bytes; each found once."""

    def __init__(self) -> None:
        self._listed = cache(_lists)
        self._of = cache(self._find)

    def __call__(self, path: Path) -> str | None:
        """Of this file; None of one that is gone, or of a directory."""
        return self._of(path) if path.is_file() else None

    def _find(self, path: Path) -> str:
        if known := self._listed(path.parent).get(path):
            return known
        try:
            wanted = digests.wanted(path)
        except Problem:  # a damaged manifest, which its readers tell of
            wanted = None
        return wanted[0] if wanted else files.sha256(path)


def _lists(folder: Path) -> dict[Path, str]:
    """All that the lists of a folder name, read once for thousands of shards; a file's own list goes over a batch's."""
    found: dict[Path, str] = {}
    lists = sorted(folder.glob("*.sha256"), key=lambda one: one.name.startswith("."))
    for one in lists:
        found |= digests.listed(one)
    return found
