"""An RO-Crate of a run, by the Workflow Run Crate profile, beside a manifest of each file: for others' tools, and for archives.

The format: RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5). It is JSON-LD
of a few entities; the library `rocrate` would add three packages to write it, and time stamps.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distillery import config, files, json_files, machine
from distillery.experiment import Config
from distillery.problems import Problem, of_system
from distillery.provenance import SCRIPTS
from distillery.terminal_text import printable
from distillery.trace import provenance_records
from distillery.verify import standing

METADATA = Path("ro-crate-metadata.json")  # names the folder that it lies in
PROFILES = ("process/0.5", "workflow/0.5")
WORKFLOW = "Snakefile"
NAME = "Distillery run"
PUBLISHED = "datePublished"
COMPLETED = "http://schema.org/CompletedActionStatus"
# RO-Crate 1.1 has no word for a digest: the profile's vocabulary has
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"},
]

Entity = dict[str, Any]
Records = Mapping[str, provenance_records.Record]


def run(args: argparse.Namespace) -> str:
    """Write the crate and the manifests in the working directory, as after each run, with another name or date; says how many.

    Raises:
        Problem: nothing has been run here.
    """
    made = write(config.read(args.configfile), args.name, args.date)
    if not made:
        raise Problem(
            "nothing tells how the files here were made",
            where=provenance_records.METADATA,
            found="no record of Snakemake of any file of these experiments",
            fix="run the experiment here first: make run",
        )
    return f"{METADATA}: {len(made)} files with what made them; a manifest of each below {provenance_records.place('').parent}"


def at_end(settings: Config) -> None:
    """Write all of it at the end of a run, whose outcome stands: what keeps it from being written is said, and fails nothing."""
    try:
        write(settings)
    except (Problem, OSError) as error:
        said = of_system(error) if isinstance(error, OSError) else error
        sys.stderr.write(
            printable(f"warning: what made the files of this run was not written down: {said}\n")
        )


def write(settings: Config, name: str = NAME, date: str | None = None) -> Records:
    """Write a manifest of each output that is there, and a crate of the selected experiments'; returns the crate's records.

    Args:
        date: published on, YYYY-MM-DD, for RO-Crate wants one. None: the crate's that is there, if nothing else of it changes, else today.

    Raises:
        Problem: what Snakemake kept cannot be read.
    """
    records = _behind(settings, provenance_records.write())
    if not records:
        return records
    if not Path(WORKFLOW).exists():
        shutil.copyfile(SCRIPTS.parents[1] / WORKFLOW, WORKFLOW)
    made = crate(records, name, date or datetime.date.today().isoformat())
    if date is None and (before := _published()):
        same = crate(records, name, before)
        made = same if METADATA.read_text(encoding="utf-8") == _text(same) else made
    files.write_text(METADATA, _text(made))
    return records


def _text(made: Entity) -> str:
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _published() -> str | None:
    """The date of the crate that is there; None where there is none that can be read."""
    try:
        graph = json_files.loads(METADATA.read_bytes())["@graph"]
        return str(next(one[PUBLISHED] for one in graph if one["@id"] == "./"))
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def _behind(settings: Config, records: Records) -> Records:
    """Those of what the selected experiments stand on, of all that led to it, and of what the same commands made beside."""
    todo = [str(one.path) for name in settings.experiments for one in standing.of(settings, name)]
    found: dict[str, provenance_records.Record] = {}
    while todo:
        path = todo.pop()
        if path in records and path not in found:
            found[path] = records[path]
            todo += records[path]["inputs"]
    commands = {tuple(one["command"]) for one in found.values()}
    found |= {
        path: one for path, one in records.items() if one["command"] and tuple(one["command"]) in commands
    }
    return dict(sorted(found.items()))


def crate(records: Records, name: str, date: str) -> Entity:
    """The content of ro-crate-metadata.json: each file, and an action for each command that made some.

    Args:
        records: of `provenance_records.write`.
        date: published on, YYYY-MM-DD.
    """
    actions = _actions(records)
    used = {one["@id"] for action in actions for one in action["object"]}
    # the profile wants one action of the workflow itself, beside those of its commands
    whole = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": name,
        "instrument": {"@id": WORKFLOW},
        "object": [{"@id": path} for path in sorted(used - records.keys())],
        "result": [{"@id": path} for path in records if path not in used],
        "actionStatus": COMPLETED,
    }
    inputs = {path: digest for one in records.values() for path, digest in one["inputs"].items()}
    all_files = [_file(path, one["sha256"], one["bytes"]) for path, one in records.items()]
    all_files += [_file(path, digest) for path, digest in inputs.items() if path not in records]
    tools = {one["instrument"]["@id"]: one for one in actions}
    graph: list[Entity] = [
        {
            "@id": METADATA.name,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": [
                {"@id": "https://w3id.org/ro/crate/1.1"},
                {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
            ],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": name,
            "description": "A distillation run: data, weights, answers and scores, each with the command that made it.",
            PUBLISHED: date,
            "license": "Models and data keep the licences of their sources.",
            "conformsTo": [{"@id": f"https://w3id.org/ro/wfrun/{one}"} for one in PROFILES],
            "mainEntity": {"@id": WORKFLOW},
            "hasPart": [{"@id": WORKFLOW}, *({"@id": one["@id"]} for one in all_files)],
            "mentions": [{"@id": one["@id"]} for one in (whole, *actions)],
        },
        *(
            {"@id": f"https://w3id.org/ro/wfrun/{one}", "@type": "CreativeWork", "name": one}
            for one in PROFILES
        ),
        {
            "@id": WORKFLOW,
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": "Distillery",
            "license": {"@id": "https://spdx.org/licenses/Apache-2.0"},
            "programmingLanguage": {"@id": "#snakemake"},
            **({"version": commit} if (commit := machine.commit()) else {}),
        },
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "url": "https://snakemake.github.io",
        },
        *(
            {
                "@id": tool,
                "@type": "SoftwareApplication",
                "name": one["name"],
                "version": tool.rpartition("@")[2],
            }
            for tool, one in tools.items()
        ),
        *all_files,
        whole,
        *actions,
    ]
    return {"@context": CONTEXT, "@graph": graph}


def _file(path: str, digest: str | None, size: int | None = None) -> Entity:
    entity = {"@id": path, "@type": "File"}
    entity |= {"sha256": digest} if digest else {}
    return entity if size is None else {**entity, "contentSize": str(size)}


def _actions(records: Records) -> list[Entity]:
    """A CreateAction for each command, whatever number of files it made."""
    made: dict[tuple[str, ...], list[provenance_records.Record]] = {}
    for one in records.values():
        if one["command"]:
            made.setdefault(tuple(one["command"]), []).append(one)
    return [
        {
            "@id": f"#action-{number:03}",
            "@type": "CreateAction",
            "name": outputs[0]["rule"],
            "description": " ".join(words),
            "instrument": {"@id": f"#{words[1]}@{outputs[0]['code']}"},
            "object": [{"@id": path} for path in outputs[0]["inputs"]],
            "result": [{"@id": one["path"]} for one in outputs],
            "actionStatus": COMPLETED,
        }
        for number, (words, outputs) in enumerate(made.items())
    ]
