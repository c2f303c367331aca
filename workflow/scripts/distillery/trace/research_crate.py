"""An RO-Crate of a run, by the Workflow Run Crate profile, and a manifest of each file: for others' tools, and for archives.

The format: RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5). It is JSON-LD
of a few entities; the library `rocrate` would add three packages to write it, and time stamps.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from distillery import artefacts, config, digests, files, machine
from distillery.provenance import SCRIPTS
from distillery.trace import provenance_records

METADATA = Path("ro-crate-metadata.json")  # names the folder that it lies in
MANIFESTS = Path(artefacts.PROVENANCE.folder)
PROFILES = ("process/0.5", "workflow/0.5")
WORKFLOW = "Snakefile"

Entity = dict[str, Any]


def run(args: argparse.Namespace) -> str:
    """Write the crate, and a manifest of each product below results/provenance, in the working directory; says how many.

    Raises:
        Problem: nothing has been run here.
    """
    records = provenance_records.of(config.read(args.configfile))
    files.remove(MANIFESTS)
    for one in records:
        digests.write_json(MANIFESTS / f"{one['path']}.json", one)
    if not Path(WORKFLOW).exists():
        shutil.copyfile(SCRIPTS.parents[1] / WORKFLOW, WORKFLOW)
    files.write_json(METADATA, crate(records, args.name, args.date))
    made = sum("rule" in one for one in records)
    return f"{METADATA}: {len(records)} files, {made} of them with the command that made them; a manifest of each below {MANIFESTS}"


def crate(records: list[dict[str, Any]], name: str, date: str) -> Entity:
    """The content of ro-crate-metadata.json: each file, and an action for each command that made some.

    Args:
        records: of `provenance_records.of`.
        date: published on, YYYY-MM-DD: RO-Crate wants one, and a run has none of its own.
    """
    actions = _actions(records)
    inputs = {path: digest for one in records for path, digest in one.get("inputs", {}).items()}
    known = {one["path"] for one in records}
    all_files = [_file(one["path"], one["sha256"], one["bytes"]) for one in records]
    all_files += [_file(path, digest) for path, digest in inputs.items() if path not in known]
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
            "datePublished": date,
            "license": "Models and data keep the licences of their sources.",
            "conformsTo": [{"@id": f"https://w3id.org/ro/wfrun/{one}"} for one in PROFILES],
            "mainEntity": {"@id": WORKFLOW},
            "hasPart": [{"@id": WORKFLOW}, *({"@id": one["@id"]} for one in all_files)],
            "mentions": [{"@id": one["@id"]} for one in actions],
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
        *actions,
    ]
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _file(path: str, digest: str, size: int | None = None) -> Entity:
    entity = {"@id": path, "@type": "File", "sha256": digest}
    return entity if size is None else {**entity, "contentSize": str(size)}


def _actions(records: list[dict[str, Any]]) -> list[Entity]:
    """A CreateAction for each command, whatever number of files it made."""
    made: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in records:
        if "rule" in one:
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
            "actionStatus": "http://schema.org/CompletedActionStatus",
        }
        for number, (words, outputs) in enumerate(made.items())
    ]
