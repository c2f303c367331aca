"""How scripts start programs and follow them: what a status says, where a log goes, which flags have no effect."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.planning.finding import Finding
from distillery.shell import script_machines
from distillery.shell.script_set import Scripts, clean, error, warning

START = ("--finetune", "--no-load-optim", "--no-load-rng")


def find(s: Scripts) -> Iterator[Finding]:
    """Everything that is found in launch lines."""
    for check in (joining, worlds, start, piping):
        yield from check(s)


def joining(s: Scripts) -> Iterator[Finding]:
    """msrun returns at once unless it is told to join, which is not its default."""
    for one in s.programs:
        flag = one.options.get("join")
        if one.launcher == "msrun" and (flag is None or flag.text.lower() != "true"):
            said = "no --join, which is --join=False" if flag is None else str(flag).replace(" ", "=")
            yield error(
                "msrun-join",
                [flag.place if flag else one.place],
                f"{said}: msrun returns at once, and a failed run looks like a finished one",
                "--join=True, which our launcher always says",
                "write --join=True",
            )


def worlds(s: Scripts) -> Iterator[Finding]:
    """msrun's workers in all are a whole number of nodes."""
    for one in s.programs:
        whole, each = one.options.get("worker_num"), script_machines.devices(one)[0]
        count = int(whole.text) if whole and whole.text.isdigit() else None
        if count is not None and each and each.stated and count % each.value:
            yield error(
                "world-size",
                [whole.place, each.place],
                f"{count} workers, {each.value} on each node",
                "a multiple of those of a node",
                "reckon WORLD_SIZE from NPUS_PER_NODE and NNODES",
            )


def start(s: Scripts) -> Iterator[Finding]:
    """How a run starts is seen here from what is there."""
    for one in s.programs:
        given = [flag for flag in START if flag in one.flags]
        if one.stage == "train" and given:
            yield warning(
                "start-flags",
                [one.flags[flag].place for flag in given],
                f"{' '.join(given)}, which have no effect here",
                "none: a first start reads weights alone, a later one the whole state",
                "leave them out; a run that is to go on there must be started without them",
            )


def piping(s: Scripts) -> Iterator[Finding]:
    """A pipe ends with the status of its last command, and tee makes no folders."""
    made = {clean(word.text) for one in s.others if one.name == "mkdir" for word in one.words[1:]}
    for one in s.programs:
        for tee in (command for command in one.command.then if command.name == "tee"):
            if not one.script.pipefail:
                yield warning(
                    "tee-status",
                    [tee.place],
                    f"the status of {one.entry} is lost in a pipe to tee",
                    "none, as here, where the launcher keeps the logs itself",
                    "write set -o pipefail before it",
                )
            files = [word.text for word in tee.words[1:] if not word.text.startswith("-")]
            folders = {file.rpartition("/")[0] for file in files} - {""}
            if missing := sorted(folder for folder in folders if clean(folder) not in made):
                yield warning(
                    "log-folder",
                    [tee.place],
                    f"tee into {', '.join(missing)}/, which no script makes: without it the log is lost",
                    "a folder that is there",
                    f"write mkdir -p {' '.join(missing)} before it",
                )
