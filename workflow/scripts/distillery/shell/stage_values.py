"""What a program's flags say in the configuration's words, each value with the line that it stands on.

A flag that is not given says MindSpeed-LLM's default, which is ours only where both defaults agree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from distillery import json_files, resolution, schema
from distillery.launch.mindspeed import accepted_flags
from distillery.shell.programs import Flag, Program
from distillery.shell.shell_words import Place

# what stages share, under `experiments.NAME.STAGE.` of its own where a script differs
SHARED = {
    "layout.tensor_parallel_size": ("--tensor-model-parallel-size", "--target-tensor-parallel-size"),
    "layout.pipeline_parallel_size": ("--pipeline-model-parallel-size", "--target-pipeline-parallel-size"),
    "layout.num_layer_list": ("--num-layer-list",),
    "seq_length": ("--seq-length",),
    "prompt_type": ("--prompt-type",),
    "rope.rotary_base": ("--rotary-base",),
}
SHARING = ("train", "generate", "evaluate", "tokenize", "convert")
# of what MindSpeed-LLM does without a flag, beside its parser's defaults: Megatron's validation and training loop
UNSAID = {
    "layout.tensor_parallel_size": 1,
    "layout.pipeline_parallel_size": 1,
    "min_lr": 0.0,
    "lr_warmup_fraction": 0.0,
    "split": "969,30,1",
    "use_distributed_optimizer": False,
    "reuse_fp32_param": False,
    "variable_seq_lengths": False,
}
# what our derived line does where no key says otherwise and the schema has no default: launch/mindspeed
DERIVED = {
    "use_distributed_optimizer": True,
    "reuse_fp32_param": True,
    "variable_seq_lengths": True,
    "eval_iters": 0,
    "max_new_tokens": None,
}
PRECISIONS = ("bf16", "fp16")
TOKENIZING = ("pack", "neat_pack", "append_eod", "n_subs", "enable_thinking")


@dataclass(frozen=True)
class Value:
    """A configuration value, where it was written, and the words that say it.

    `stated` is False for a default: `place` is then the command that leaves the flag out.
    """

    value: Any
    place: Place
    words: str
    stated: bool = True


@dataclass(frozen=True)
class Misread:
    """A value that no key takes: unknown before the shell runs, or not of the key's kind."""

    flag: Flag
    key: str
    wanted: str


@dataclass(frozen=True)
class StageValues:
    """Keys below `experiments.NAME.STAGE`, and the flags that said them."""

    program: Program
    values: Mapping[str, Value]
    used: frozenset[str]
    misread: tuple[Misread, ...]

    @property
    def stage(self) -> str:
        return self.program.stage

    def get(self, key: str) -> Any:
        """The value of a key, None where nothing says it."""
        return self.values[key].value if key in self.values else None


def of(program: Program) -> StageValues:
    """All keys of its stage that a program's flags say."""
    values: dict[str, Value] = {}
    misread: list[Misread] = []
    used: set[str] = set()
    for key, names, node in _keys(program.stage):
        flag = next((program.flags[name] for name in names if name in program.flags), None)
        if flag is None:
            default = _default(program, key, names[0], node)
            if default is not None:
                values[key] = Value(default, program.place, f"no {names[0]}", stated=False)
            continue
        used.add(flag.name)
        try:
            values[key] = Value(read(node, flag), flag.place, str(flag))
        except ValueError as error:
            misread.append(Misread(flag, key, str(error)))
    values |= _precision(program, used)
    if "eval_iters" in values and not values["eval_iters"].value:  # no evaluation: our line says so of itself
        for key in ("eval_iters", "eval_interval"):
            values.pop(key, None)
            used.discard(f"--{key.replace('_', '-')}")
    if program.stage == "generate" and "--task" not in program.flags:
        values["task"] = Value(None, program.place, "no --task", stated=False)
    return StageValues(program, values, frozenset(used), tuple(misread))


def read(node: Mapping[str, Any], flag: Flag) -> Any:
    """A flag's value as the schema's node wants it.

    Raises:
        ValueError: saying what is wanted.
    """
    if not flag.known:
        raise ValueError("a value that stands in the script")
    kinds = node.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    text = flag.text
    try:
        match kind:
            case "boolean":
                value = not flag.values or text.lower() in ("true", "1", "yes")
            case "integer":
                value = int(text)
            case "number":
                value = int(text) if text.lstrip("-").isdigit() else float(text)
            case "array":
                value = [int(one) for one in re.split(r"[,\s]+", text.strip(", "))]
            case "object":
                value = json_files.loads(text)
            case _:
                value = text.strip()
    except ValueError:
        raise ValueError(f"a value of type {kind}") from None
    errors = [error.message for error in Draft202012Validator(node).iter_errors(value)]
    if errors:
        raise ValueError(_wanted(node) or errors[0])
    return value


def _wanted(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    return f"at least {node['minimum']}" if "minimum" in node else ""


def node(*path: str) -> dict[str, Any]:
    """The schema's node of a key of an experiment."""
    found = schema.schema()["$defs"]["experiment"]
    for name in path:
        found = schema.resolve(schema.resolve(found)["properties"][name])
    return found


def _keys(stage: str) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """(key, flags that say it, its node in the schema) of a stage."""
    if stage in SHARING:
        for key, names in SHARED.items():
            if stage == "convert" and not key.startswith("layout"):
                continue
            if stage == "tokenize" and key not in ("seq_length", "prompt_type"):
                continue
            yield key, names, node(*key.split("."))
    if stage in ("convert", "export", "reshard"):
        yield "params_dtype", ("--params-dtype",), node("params_dtype")
    known = accepted_flags.options("posttrain_gpt.py")
    if stage in ("train", "generate"):
        for key in node(stage)["properties"]:
            name = f"--{key.replace('_', '-')}"
            if key not in resolution.OVERRIDES and name in known:
                yield key, (name,), node(stage, key)
    if stage == "tokenize":
        for key in TOKENIZING:
            yield key, (f"--{key.replace('_', '-')}",), node(stage, key)


def _default(program: Program, key: str, name: str, node: Mapping[str, Any]) -> Any:
    """What MindSpeed-LLM does without a flag, where ours would do something else; None where both agree."""
    if key == "params_dtype":  # the second converter keeps the type that it finds
        return "fp16" if program.entry == "convert_ckpt.py" else None
    if program.stage in ("tokenize", "convert") and not key.startswith("layout"):
        return None
    value = UNSAID.get(key, accepted_flags.options("posttrain_gpt.py").get(name, {}).get("default"))
    if program.stage == "train" and value is None:
        if key == "micro_batch_size":
            return 1
        if key == "save_interval":  # the end of training is saved all the same
            iterations = program.text("--train-iters")
            return int(iterations) if iterations.isdigit() else None
    ours = node.get("default", DERIVED.get(key, value if key not in DERIVED else None))
    if key in SHARED:
        return value
    return value if value is not None and value != ours else None


def _precision(program: Program, used: set[str]) -> dict[str, Value]:
    """params_dtype of a trainer or generator: a switch."""
    if program.stage not in ("train", "generate", "evaluate"):
        return {}
    for one in PRECISIONS:
        if f"--{one}" in program.flags:
            used.add(f"--{one}")
            return {"params_dtype": Value(one, program.where(f"--{one}"), f"--{one}")}
    return {"params_dtype": Value("fp32", program.place, "neither --bf16 nor --fp16", stated=False)}
