"""What an experiment's settings amount to: each stage with its own, lengths and layouts derived where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from distillery import lineage, row_selection, schema, task_settings
from distillery.experiment import (
    Asked,
    Conversion,
    Experiment,
    Generation,
    Layout,
    Part,
    Rope,
    Stage,
    Tokenization,
)
from distillery.hardware import Hardware
from distillery.servers import Server

# keys of `train` and `generate` that choose their own value of what the whole experiment shares
OVERRIDES = ("layout", "prompt_type", "seq_length", "rope", "npus_per_node", "engine")
# settings of `generate` that have no part in the built-in engine's answers
THEIRS = ("use_kv_cache", "max_tokens_to_oom")
PROMPT = 1024  # tokens: the longest problem of MATH-500 with its system prompt has room


def _layout(dtype: str, sizes: Mapping[str, Any]) -> Layout:
    layers = sizes.get("num_layer_list")
    return Layout(
        dtype,
        sizes["tensor_parallel_size"],
        sizes["pipeline_parallel_size"],
        tuple(layers) if layers else None,
    )


def _stage(own: Mapping[str, Any], common: Stage, dtype: str) -> Stage:
    changes = {key: own[key] for key in OVERRIDES if key in own}
    changes["flags"] = {key: value for key, value in own.items() if key not in OVERRIDES}
    if "layout" in own:
        changes["layout"] = _layout(dtype, own["layout"])
    if "rope" in own:
        changes["rope"] = Rope(**own["rope"])
    return replace(common, **changes)


def fitting(layout: Layout, devices: int, *, copies: bool = False) -> Layout:
    """The layout cut down to `devices`: stages go first, since they answer one after the other anyway.

    Neighbouring stages are joined, so that whatever divided the model before still does.

    Args:
        copies: all devices hold the model, in copies, as in training; else the first ones hold one.
    """

    def divisor(size: int, most: int) -> int:
        fit = (one for one in range(min(size, most), 0, -1) if size % one == 0)
        return next(one for one in fit if not copies or most % one == 0)

    tensor = divisor(layout.tensor_parallel_size, devices)
    stages = divisor(layout.pipeline_parallel_size, devices // tensor)
    layers, joined = layout.num_layer_list, layout.pipeline_parallel_size // stages
    if layers:
        layers = tuple(sum(layers[at : at + joined]) for at in range(0, len(layers), joined))
    return replace(
        layout,
        tensor_parallel_size=tensor,
        pipeline_parallel_size=stages,
        num_layer_list=layers if stages > 1 else None,
    )


def answer_room(length: int) -> int:
    """New tokens in a context of `length` where nothing is said: 1024 tokens, at most a quarter, are the prompt's."""
    return length - min(PROMPT, length // 4)


def _asked(tuned: Generation, base: Mapping[str, Any]) -> Asked:
    """The same of the original weights too, which get at most what the tuned ones get."""
    most, new = tuned.seq_length, tuned.settings["max_new_tokens"]
    length = min(base.get("seq_length", most), most)
    room = min(base.get("max_new_tokens", answer_room(length) if length < most else new), new)
    settings = {**tuned.settings, "max_new_tokens": room}
    return Asked(tuned, replace(tuned, seq_length=length, settings=settings, server=_of_base(tuned.server)))


def _of_base(server: Server | None) -> Server | None:
    """Who answers with the original weights: one that is started gets them, one that runs has them or has not."""
    if server is None or server.python:
        return server
    return replace(server, model=server.base_model) if server.base_model else None


def experiment(
    name: str,
    e: Mapping[str, Any],
    machine: Hardware,
    written: Mapping[str, Any],
    server: Server | None,
    root: str,
) -> Experiment:
    """An experiment of its settings `e`, in which defaults are filled in.

    Args:
        written: those of the file.
        server: that generate.engine names; None for an engine.
        root: the model whose tokenizer its own has: itself, or where the stages before it began.
    """
    before = lineage.stage(e)
    model = e["model"] if before is None else lineage.started_from(before)
    layout = _layout(e["params_dtype"], e["layout"])
    common = Stage(
        layout,
        e["prompt_type"],
        e["seq_length"],
        Rope(**e["rope"]),
        machine.npus_per_node,
        "mindspore",
    )
    train = _stage(e["train"], common, e["params_dtype"])
    if "layout" not in e["train"]:
        shared = train.npus_per_node * machine.nodes // train.flags["context_parallel_size"]
        train = replace(train, layout=fitting(train.layout, max(1, shared), copies=True))
    # the weights to answer with come out of training, cut and rotated as there
    tuned = replace(common, layout=train.layout, rope=train.rope)
    unread = task_settings.unread(e["generate"]["task"])
    left = ["base", "sets", *unread]
    if e["generate"]["weights"] == schema.default("experiments.*.generate.weights"):
        left.append("weights")  # names and lines of answers of before stay what they were
    asked = {key: value for key, value in e["generate"].items() if key not in left}
    generate = _stage(asked, tuned, e["params_dtype"])
    new = asked.get("max_new_tokens", answer_room(generate.seq_length))
    generate = replace(generate, flags={**generate.flags, "max_new_tokens": new})
    if "layout" not in asked:  # answers come from one node
        generate = replace(generate, layout=fitting(generate.layout, generate.npus_per_node))
    asked_of = {
        problems: _asked(
            Generation(
                problems,
                generate.prompt_type,
                generate.seq_length,
                machine.device,
                machine.threads,
                generate.layout.tensor_parallel_size,
                generate.layout.pipeline_parallel_size,
                {key: value for key, value in generate.flags.items() if key not in THEIRS}
                | {key: value for key, value in own.items() if key not in unread},
                server,
            ),
            e["generate"]["base"],
        )
        for problems in schema.listed(e["problems"])
        for own in [e["generate"]["sets"].get(problems, {})]
    }
    made = {
        "model": root,
        "prompt_type": e["prompt_type"],
        "seq_length": e["seq_length"],
        **e["tokenize"],
    }
    mixed = schema.datasets(e["dataset"])
    chosen = row_selection.of(e.get("select"), [part["name"] for part in mixed], list(asked_of), made)
    parts = tuple(
        Part(
            Tokenization(dataset=part["name"], selection=chosen[part["name"]], **made),
            part.get("weight"),
            part.get("epochs"),
        )
        for part in mixed
    )
    return Experiment(
        name=name,
        model=model,
        dataset=parts[0].dataset,
        hardware=machine,
        prompt_type=e["prompt_type"],
        seq_length=e["seq_length"],
        tokenize=parts[0].tokenize,
        parts=parts,
        convert=Conversion(layout, e["convert"]["engine"]),
        train=train,
        generate=generate,
        asked=asked_of,
        accept=tuple(e["accept"]),
        settings=e,
        written=written,
    )
