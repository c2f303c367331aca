"""What scripts say that no key of the configuration holds: what our own lines say anyway, and what nothing says.

Our lines are made from the written configuration, as the plan would run it, and compared word by word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from distillery.architecture import Architecture
from distillery.experiment import Config
from distillery.launch import commandline
from distillery.launch.mindspeed import convert_stage, generate_stage, shape, tokenize_stage, train_lines
from distillery.shell import script_datasets, script_machines, script_models
from distillery.shell.model_flags import SHAPES, SYNONYMS, same
from distillery.shell.programs import Flag
from distillery.shell.script_faults import PATHS
from distillery.shell.script_models import grouped
from distillery.shell.script_set import Scripts
from distillery.shell.shell_commands import Command, Script
from distillery.shell.shell_words import Place

# flags of a model's shape, which config.json says; of an unknown model nobody can compare them
SHAPED = (
    *SHAPES,
    *SYNONYMS.values(),
    *(
        "--num-layers --hidden-size --ffn-hidden-size --num-attention-heads --num-query-groups --kv-channels "
        "--disable-bias-linear --normalization --norm-epsilon --position-embedding-type --rotary-base "
        "--make-vocab-size-divisible-by --padded-vocab-size --rope-scaling-type --rope-scaling-factor "
        "--original-max-position-embeddings --low-freq-factor --high-freq-factor"
    ).split(),
)
EPSILON = "--norm-epsilon"  # not recorded of all models
READ = {"tokenize": ("--handler-name", "--map-keys", "--input"), "train": ("--npu-deterministic",)}
LAUNCHED = (
    *script_machines.PER_NODE,
    *script_machines.ADDRESSES,
    *script_machines.LAUNCHING,
    *script_machines.DECIDED,
)


@dataclass(frozen=True)
class Unkeyed:
    """One thing that no key holds; `ours` is what our own line says in its place."""

    place: Place
    said: str
    ours: str = ""

    def __str__(self) -> str:
        return f"{self.place} {self.said}" + (f" (ours: {self.ours})" if self.ours else "")


@dataclass(frozen=True)
class Listing:
    """`lost` has no key and no part in our lines; `derived` is said by them without a key, by script."""

    lost: tuple[Unkeyed, ...]
    derived: Mapping[str, tuple[str, ...]]

    def lines(self) -> list[str]:
        """What is lost, a line each."""
        return [f"no key: {one}" for one in self.lost]


def find(s: Scripts, written: Config) -> Listing:
    """Everything that the written configuration does not hold."""
    lost: list[Unkeyed] = []
    derived: dict[str, list[str]] = {}
    for stage in s.stages:
        program = stage.program
        ours = _ours(stage.stage, written, s) if s.chosen.get(stage.stage) is stage else None
        lost += [Unkeyed(piped.place, f"| {piped.text}") for piped in program.command.then]
        if ours is None:
            lost.append(Unkeyed(program.place, f"{program.command.text} (no stage here)"))
            continue
        if stage.stage in ("convert", "export") and program.entry != convert_stage.SCRIPT:
            lost.append(Unkeyed(program.place, program.called, convert_stage.SCRIPT))
        for flag in program.flags.values():
            if flag.name in (*stage.used, *READ.get(stage.stage, ())):
                continue
            if _is_derived(flag, ours, s):
                derived.setdefault(program.place.script, []).append(str(flag))
            else:
                lost.append(Unkeyed(flag.place, str(flag), _instead(flag, ours)))
        options = [flag for name, flag in program.options.items() if name not in LAUNCHED]
        lost += [Unkeyed(flag.place, f"{program.launcher} {flag}") for flag in options]
        lost += [Unkeyed(word.place, word.text) for word in program.stray]
    lost += [Unkeyed(command.place, command.text) for command in s.others if not _is_read(command)]
    lost += [one for script in s.scripts for one in _surroundings(script)]
    ordered = sorted(dict.fromkeys(lost), key=lambda one: one.place)
    return Listing(tuple(ordered), {script: tuple(flags) for script, flags in derived.items()})


def _ours(stage: str, written: Config, s: Scripts) -> dict[str, str] | None:
    """The flags of our own line for a stage, None where nothing of ours runs it."""
    (one,) = written.experiments.values()
    model = _architecture(s, one.train.rope.rotary_base)
    paths = {"qkv_bias": bool(model and model.add_qkv_bias), "load": "L", "save": "S"}
    match stage:
        case "tokenize":
            flags = tokenize_stage.of_dataset(written.datasets[one.dataset], one.tokenize)
        case "convert":
            _, flags = convert_stage.hf_to_mcore(one.convert.layout, framework=s.framework, **paths)
        case "export":
            _, flags = convert_stage.mcore_to_hf(
                one.convert.layout.params_dtype, framework=s.framework, **paths
            )
        case "train":
            flags = {**train_lines.of_experiment(one), **dict.fromkeys(train_lines.START, True)}
        case "generate":
            flags = generate_stage.of_experiment(one)
        case _:
            return None
    shaped = shape.architecture(model) if model and stage in ("train", "generate") else {}
    return grouped(commandline.words({**flags, **shaped}))


def _architecture(s: Scripts, base: float | None) -> Architecture | None:
    model = s.model.known.architecture if s.model.known else None
    return replace(model, rotary_base=base) if model and base else model


def _is_derived(flag: Flag, ours: Mapping[str, str], s: Scripts) -> bool:
    """Whether our line says the same, or what stands for it: paths of results/, a model's config.json."""
    recorded = s.model.flags
    if flag.name in PATHS or (recorded is None and flag.name in SHAPED):
        return True
    if flag.name == EPSILON and EPSILON not in recorded:
        return True
    other = next((one for one, synonym in SYNONYMS.items() if synonym == flag.name), None)
    if other in ours:
        return not flag.values or same(flag.text, ours[other])
    return flag.name in ours and same(flag.text, ours[flag.name])


def _instead(flag: Flag, ours: Mapping[str, str]) -> str:
    return f"{flag.name} {ours[flag.name]}".strip() if flag.name in ours else ""


def _is_read(command: Command) -> bool:
    """Whether a command says where the model or the rows come from."""
    fetched = any(script_datasets.URL.search(word.text) for word in command.words)
    return fetched or any(script_models.downloaded(command, kind=kind) for kind in ("model", "dataset"))


def _surroundings(script: Script) -> Iterator[Unkeyed]:
    """Exports and sourced scripts that the configuration does not have."""
    for name, value in script.exports.items():
        if not (value.known and value.text):
            yield Unkeyed(value.place, f"export {name}={value.text}")
    for path in script.sourced:
        if not path.text.startswith("/"):
            yield Unkeyed(path.place, f"source {path.text}")
