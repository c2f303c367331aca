"""What stages share: layout, length, template, type and rotary base.

As they say it each stage has its own value; as it is written the trainer's stands for all, and a comment names the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distillery.shell.draft import MACHINE, UNSAID, Draft
from distillery.shell.script_models import Model
from distillery.shell.stage_values import StageValues, Value

# whose value is written where scripts disagree
PRIORITY = ("train", "tokenize", "convert", "generate", "evaluate", "export", "reshard")
# whose value the experiment itself has, as they say it: what is made first
MAKERS = {"prompt_type": "tokenize", "seq_length": "train", "params_dtype": "train"}
MAKING = ("train", "convert")
CHECKPOINTS = ("export", "reshard")  # whose target is not what training starts from
SIZES = ("layout.tensor_parallel_size", "layout.pipeline_parallel_size", "layout.num_layer_list")
NODE = 8  # devices of an Atlas 800
FALLBACK = {
    "train_iters": 2000,
    "lr": 1e-5,
    "seq_length": 4096,
    "prompt_type": "default",
    "params_dtype": "bf16",
}


def put(draft: Draft, stages: Mapping[str, StageValues], model: Model) -> None:
    """Set them in both configurations."""
    for key in MAKERS:
        _shared(draft, key, stages)
    _layout(draft, stages)
    _room(draft)
    _rope(draft, stages, model)


def _shared(draft: Draft, key: str, stages: Mapping[str, StageValues]) -> None:
    """A value that all stages share: each stage's own as they say it, the first one's as it is written."""
    said = [(stage, stages[stage].values[key]) for stage in PRIORITY if key in _values(stages, stage)]
    if key == "params_dtype":  # an answering line without --bf16 says nothing of the weights
        said = [
            (stage, value)
            for stage, value in said
            if stage not in CHECKPOINTS and (value.stated or stage in MAKING)
        ]
    if not said:
        draft.put(f"@.{key}", FALLBACK[key], comment=UNSAID)
        return
    _, first = said[0]
    draft.write(
        f"@.{key}", first.value, named(first, [value for _, value in said[1:] if value.value != first.value])
    )
    maker = dict(said).get(MAKERS[key], first)
    draft.put(f"@.{key}", maker.value, maker.place, in_both=False)
    for stage, value in said if key != "params_dtype" else ():
        if stage in ("train", "generate", "tokenize"):
            draft.put(f"@.{stage}.{key}", value.value, value.place, in_both=False)


def _layout(draft: Draft, stages: Mapping[str, StageValues]) -> None:
    """How weights are cut, the three sizes of one stage together. A stage of no script has what the others have."""
    holders = [
        stages[stage] for stage in PRIORITY if SIZES[0] in _values(stages, stage) and stage not in CHECKPOINTS
    ]
    if not holders:
        return
    first, maker = holders[0], stages.get("convert", holders[0])
    trained = stages.get("train", maker)
    for path, holder in (
        ("@", maker),
        ("@.train", trained),
        ("@.generate", stages.get("generate", trained)),
    ):
        own = path == "@" or path.removeprefix("@.") in stages
        for key, value in _sizes(holder).items():
            draft.put(f"{path}.{key}", value.value, value.place if own else None, in_both=False)
    for key, value in _sizes(first).items():
        draft.write(f"@.{key}", value.value)
    cuts = {holder.values[SIZES[0]].place: _cut(holder) for holder in holders}
    others = [f"{place} has {cut}" for place, cut in cuts.items() if cut != _cut(first)]
    if others:
        draft.comments[draft.path("@.layout")] = _against(first.values[SIZES[0]], others)


def _sizes(stage: StageValues) -> dict[str, Value]:
    return {key: stage.values[key] for key in SIZES if key in stage.values}


def _cut(stage: StageValues) -> str:
    tensor, pipeline, layers = (stage.get(key) for key in SIZES)
    return f"TP{tensor} PP{pipeline}" + (f" with layers {','.join(map(str, layers))}" if layers else "")


def _room(draft: Draft) -> None:
    """As many devices as the layout needs, in nodes of eight, where no launch line says how many there are."""
    if "npus_per_node" not in draft.written["hardware"][MACHINE]:
        layout = draft.written["experiments"][draft.name].get("layout", {})
        needed = layout.get("tensor_parallel_size", 1) * layout.get("pipeline_parallel_size", 1)
        each = min(needed, NODE)
        draft.put("%.npus_per_node", each, comment=f"{UNSAID}: what the layout needs")
        draft.put("%.nodes", -(-needed // each))


def _rope(draft: Draft, stages: Mapping[str, StageValues], model: Model) -> None:
    """The rotary base, where it is not the model's own: a config.json's is derived, never repeated."""
    key = "rope.rotary_base"
    asked = ("train", "generate", "evaluate")
    said = [(stage, stages[stage].values[key]) for stage in asked if key in _values(stages, stage)]
    if not said:
        return
    first = said[0][1]
    # a stage of no script has what the others have
    for stage in ("train", "generate"):
        value = dict(said).get(stage)
        draft.put(f"@.{stage}.{key}", (value or first).value, value and value.place, in_both=False)
    theta = model.known.architecture.rotary_base if model.known else None
    if first.value != theta and (theta is not None or first.stated):
        others = [value for _, value in said[1:] if value.value != first.value]
        draft.write(f"@.{key}", first.value, named(first, others))


def _values(stages: Mapping[str, StageValues], stage: str) -> Mapping[str, Value]:
    return stages[stage].values if stage in stages else {}


def named(first: Value, others: Sequence[Value]) -> str:
    """Who says the value that is written, and who says another."""
    if not others:
        return "" if first.stated else f"MindSpeed-LLM's default: {first.place} has {first.words}"
    return _against(first, [f"{value.place} has {value.words}" for value in others])


def _against(first: Value, others: Sequence[str]) -> str:
    return f"as {first.place} says; " + ", ".join(others)
