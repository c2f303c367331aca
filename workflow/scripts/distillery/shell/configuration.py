"""Stages as a configuration: as the scripts say it, one value a stage, and as it is written, the trainer's for all.

The first is what the plan's checks look at: each key has the script and line that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from distillery import schema
from distillery.shell import script_machines, shared_values
from distillery.shell.draft import MACHINE, UNSAID, Draft
from distillery.shell.script_datasets import Rows
from distillery.shell.script_models import Model
from distillery.shell.shared_values import FALLBACK, PRIORITY, named
from distillery.shell.shell_commands import Script
from distillery.shell.stage_values import SHARED, Misread, StageValues, read

PROBLEMS = "math-500"  # an entry of config/sources
# where no script says: as in the configurations that come with us, and beside it for the other back end
PYTHON = "/opt/mindspeed-llm/bin/python"
NO_BACK_END = (
    "where it lies no script says, nor its back end: without a launcher, --ai-framework or mindspeed_llm/mindspore/ in"
    " them mindspore is taken, the guide's; write framework: pytorch if convert_ckpt.py in the root is to run as it is"
)
DIRECTORY = {"mindspore": "/opt/MindSpeed-Core-MS/MindSpeed-LLM", "pytorch": "/opt/MindSpeed-LLM"}
# what ranks source, without which they know no torch; doctor/releases.json has the same for each version
SET_ENV = {
    "mindspore": ["/opt/MindSpeed-Core-MS/tests/scripts/set_path.sh"],
    "pytorch": [
        "/usr/local/Ascend/ascend-toolkit/set_env.sh",
        "/usr/local/Ascend/nnal/atb/set_env.sh",
    ],
}


def build(stages: Mapping[str, StageValues], model: Model, rows: Rows, scripts: Sequence[Script]) -> Draft:
    """The configuration of stages that belong together.

    Args:
        stages: by name; at least one.
        scripts: the same stages' scripts, the trainer's first.
    """
    order = [stages[stage] for stage in PRIORITY if stage in stages]
    draft = Draft(_name(order[0].program.place.script), rows.name)
    _sources(draft, model, rows)
    _machine(draft, stages, scripts)
    for key, value in {
        "model": model.name,
        "dataset": rows.name,
        "problems": PROBLEMS,
        "hardware": MACHINE,
    }.items():
        draft.put(f"@.{key}", value, comment=UNSAID if value == PROBLEMS else "")
    shared_values.put(draft, stages, model)
    _tokenizing(draft, stages, rows)
    _training(draft, stages.get("train"))
    _generating(draft, stages.get("generate"))
    draft.put("@.train.engine", "mindspeed-llm")
    for stage in ("tokenize", "convert", "generate"):
        if stage in stages and stages[stage].stage == stage:  # no evaluation in the place of answers
            draft.put(f"@.{stage}.engine", "mindspeed-llm", stages[stage].program.place)
    return draft


def _sources(draft: Draft, model: Model, rows: Rows) -> None:
    for tree in (draft.said, draft.written):
        tree["models"] = {model.name: model.source}
        tree["datasets"] = {rows.name: {"source": rows.source}}
    draft.places |= {f"models.{model.name}": model.place, f"datasets.{rows.name}": rows.place}
    draft.comments |= {
        ("models", model.name): model.reason,
        ("datasets", rows.name): rows.reason,
    }


def _machine(draft: Draft, stages: Mapping[str, StageValues], scripts: Sequence[Script]) -> None:
    programs = {stage: stages[stage].program for stage in PRIORITY if stage in stages}
    draft.put(
        "%.device", "Ascend", comment="which chip no script says: add chip: 910B3, as npu-smi prints it"
    )
    counts = {
        stage: count
        for stage, one in programs.items()
        if one.launcher != "python" and (count := script_machines.devices(one)[0])
    }
    most = max(counts.values(), key=lambda count: count.value, default=None)
    if most:
        draft.put("%.npus_per_node", most.value, most.place)
    for stage in ("train", "generate"):
        if stage in counts and counts[stage].value != most.value:
            draft.put(f"@.{stage}.npus_per_node", counts[stage].value, counts[stage].place)
    values, misread = script_machines.values(list(programs.values()))
    draft.misread += misread
    for key, value in values.items():
        draft.put(f"%.{key}", value.value, value.place)
    told = next((one.framework for one in programs.values() if one.framework), None)
    framework = told or "mindspore"
    paths = list(script_machines.sourced(scripts))
    there = {Path(path).parts[-2:] for path in paths}  # wherever CANN lies
    unsaid = [path for path in SET_ENV[framework] if Path(path).parts[-2:] not in there]
    comment = f"no script sources {' and '.join(unsaid)}: docs/ascend.md" if unsaid else ""
    draft.put("%.set_env", paths + unsaid, comment=comment)
    if variables := script_machines.environment(scripts):
        known = {
            name: int(one.value) if one.value.isdigit() else one.value for name, one in variables.items()
        }
        draft.put("%.environment", known)
    if any("--npu-deterministic" in program.flags for program in programs.values()):
        draft.put("%.deterministic", True)
    home = {"python": PYTHON, "directory": DIRECTORY[framework], "framework": framework}
    comment = "where it lies no script says" if told else NO_BACK_END
    draft.put("%.mindspeed_llm", home, comment=comment)


def _tokenizing(draft: Draft, stages: Mapping[str, StageValues], rows: Rows) -> None:
    made, trained = stages.get("tokenize"), stages.get("train")
    if rows.shards is not None:
        draft.put("@.tokenize.shards", rows.shards, made.program.where("--input"))
    packs = ("--neat-pack", "--reset-position-ids")
    if made:
        for key, value in made.values.items():
            if key not in SHARED and not key.startswith("params"):
                draft.put(f"@.tokenize.{key}", value.value, value.place)
        if "seq_length" not in made.values:
            draft.put("@.tokenize.seq_length", None, made.program.place, in_both=False)
            path = draft.path("@.seq_length")
            before = draft.comments.get(path) or f"as {draft.places['.'.join(path)]} says" if trained else ""
            draft.comments[path] = "; ".join(
                filter(None, [before, f"{made.program.place} has no --seq-length"])
            )
        _handler(draft, made)
    elif trained and any(flag in trained.program.flags for flag in packs):
        place = trained.program.where(*packs)
        draft.put("@.tokenize.pack", True, place, f"as {place} expects")
        if packs[0] in trained.program.flags:
            draft.put("@.tokenize.neat_pack", True, place)
    packed = draft.written["experiments"][draft.name].get("tokenize", {}).get("pack")
    if packed and trained and "reset_position_ids" not in trained.values:
        place = trained.program.place
        draft.put("@.train.reset_position_ids", False, place, f"{place} has no --reset-position-ids")


def _handler(draft: Draft, made: StageValues) -> None:
    handler, mapping = made.program.flags.get("--handler-name"), made.program.flags.get("--map-keys")
    node = schema.resolve(schema.schema()["$defs"]["dataset"])["properties"]
    for flag, key in ((handler, "handler_name"), (mapping, "map_keys")):
        try:
            if flag:
                draft.put(f"#.{key}", read(node[key], flag), flag.place)
        except ValueError as error:
            draft.misread.append(Misread(flag, f"datasets.{draft.rows}.{key}", str(error)))
            if flag is handler and mapping:  # whose names nobody here knows
                wanted = "names of one of those handlers"
                draft.misread.append(Misread(mapping, f"datasets.{draft.rows}.map_keys", wanted))
                return
    named = draft.written["datasets"][draft.rows].get("handler_name")
    if mapping is None and named not in (None, "SharegptStyleInstructionHandler"):
        draft.put("#.map_keys", {}, handler.place)  # the handler's own names


def _training(draft: Draft, stage: StageValues | None) -> None:
    if stage:
        for key, value in stage.values.items():
            if key not in SHARED and key != "params_dtype":
                draft.put(f"@.train.{key}", value.value, value.place, named(value, ()))
    for key in ("train_iters", "lr"):
        if stage is None or key not in stage.values:
            draft.put(f"@.train.{key}", FALLBACK[key], comment=UNSAID)
    if stage and "global_batch_size" not in stage.values:
        # Megatron's default: one micro-batch on each replica
        size = (stage.get("layout.tensor_parallel_size") or 1) * (
            stage.get("layout.pipeline_parallel_size") or 1
        )
        devices = script_machines.devices(stage.program)[0]
        count = (devices.value if devices else 1) * (draft.said["hardware"][MACHINE].get("nodes") or 1)
        batch = (stage.get("micro_batch_size") or 1) * max(1, count // size)
        draft.put(
            "@.train.global_batch_size",
            batch,
            stage.program.place,
            "MindSpeed-LLM's default: one micro-batch a replica",
        )


def _generating(draft: Draft, stage: StageValues | None) -> None:
    for key, value in stage.values.items() if stage else ():
        if key not in SHARED and key != "params_dtype":
            draft.put(f"@.generate.{key}", value.value, value.place, named(value, ()))


def _name(script: str) -> str:
    stem = script.rpartition("/")[2].removesuffix(".sh")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "imported"
