"""The model's own facts against what the configuration says of it: rope, context, types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, error, warning


def known(s: Setup) -> Iterator[Finding]:
    """Most checks need the model's config.json, which is recorded for well-known models only."""
    if s.known is None:
        yield warning(
            "unknown-model",
            [s.model_key],
            "a model whose config.json is not recorded",
            "one of planning/architectures.json",
            "plan_sources holds its config.json against the plan as soon as it is fetched; add it there to know now",
        )


def rope_base(s: Setup) -> Iterator[Finding]:
    """Weights work with the rotary base that they were trained with: converters never compare it."""
    if s.architecture is None:
        return
    for name, stage in s.stages():
        base = stage.rope.rotary_base
        if base is not None and base != s.architecture.rotary_base and not stage.rope.override:
            yield error(
                "rope-base",
                [f"{s.stage_key(name, 'rope')}.rotary_base", s.model_key],
                f"{base:g}",
                f"{s.architecture.rotary_base:g}, as config.json of {s.known.name} says",
                "leave it out, or say override: true if training is to learn another base",
            )


def rope_context(s: Setup) -> Iterator[Finding]:
    """The exported config.json states the context that the model has: another one is learnt, so it is declared."""
    if s.architecture is None:
        return
    for name, stage in s.stages():
        positions = stage.rope.max_position_embeddings
        if positions not in (None, s.architecture.max_position_embeddings) and not stage.rope.override:
            yield error(
                "rope-context",
                [f"{s.stage_key(name, 'rope')}.max_position_embeddings", s.model_key],
                str(positions),
                f"{s.architecture.max_position_embeddings}, as config.json of {s.known.name} says",
                "leave it out, or say override: true if training is to learn another context",
            )


def rope_scaled(s: Setup) -> Iterator[Finding]:
    """A model whose config.json scales its rotary frequencies already keeps that scaling under an override."""
    scaling = dict(s.architecture.rope_scaling) if s.architecture else {}
    rope = s.experiment.train.rope
    changed = [key for key in ("rotary_base", "max_position_embeddings") if getattr(rope, key) is not None]
    if scaling and changed and rope.override:
        yield warning(
            "rope-scaled",
            tuple(f"{s.stage_key('train', 'rope')}.{key}" for key in changed),
            f"an override, on top of the {scaling['rope_type']} scaling"
            + (f" by {scaling['factor']:g}" if "factor" in scaling else ""),
            f"one of them: config.json of {s.known.name} keeps its rope_scaling",
            "leave the override out, or accept this",
        )


def rope_agreement(s: Setup) -> Iterator[Finding]:
    """Tuned weights answer with the rotary settings that they were trained with."""
    e = s.experiment
    train, answer = e.train.rope, e.generate.rope
    if any(True for check in (rope_base, rope_context) for _ in check(s)):
        return  # one thing at a time: settings that are wrong of themselves
    if (train.rotary_base, train.max_position_embeddings) != (
        answer.rotary_base,
        answer.max_position_embeddings,
    ):
        yield error(
            "rope-agreement",
            [s.stage_key("train", "rope"), s.stage_key("generate", "rope")],
            f"base {train.rotary_base} and context {train.max_position_embeddings} in training,"
            f" {answer.rotary_base} and {answer.max_position_embeddings} in answers",
            "the same (None is config.json's)",
            "write rope once, under the experiment",
        )


def context(s: Setup) -> Iterator[Finding]:
    """No sequence is longer than the positions that the model knows, or is declared to learn."""
    if s.architecture is None:
        return
    for name, stage in s.stages():
        declared = stage.rope.max_position_embeddings if stage.rope.override else None
        model = replace(s.architecture, max_position_embeddings=declared) if declared else s.architecture
        limit, key = model.context
        if stage.seq_length > limit and key == "sliding_window":
            yield error(
                "context",
                [s.stage_key(name, "seq_length"), s.model_key],
                f"{stage.seq_length} tokens",
                f"at most {limit}, sliding_window of config.json of {s.known.name}: no engine here hides earlier tokens",
                f"set seq_length to {limit}",
            )
        elif stage.seq_length > limit:
            yield error(
                "context",
                [s.stage_key(name, "seq_length"), s.model_key],
                f"{stage.seq_length} tokens",
                f"at most {limit}, {'as rope declares' if declared else f'the context of {s.known.name}'}",
                f"set seq_length to {limit}, or declare rope: {{rotary_base: ..., max_position_embeddings:"
                f" {stage.seq_length}, override: true}}",
            )


def base_context(s: Setup) -> Iterator[Finding]:
    """The original weights answer within their original context, even where training extends it."""
    if s.architecture is None:
        return
    length = s.experiment.base_generation.seq_length
    extended = (
        s.experiment.generate.rope.override
        and s.experiment.generate.seq_length > s.architecture.max_position_embeddings
    )
    if extended and length > s.architecture.max_position_embeddings:
        yield error(
            "base-context",
            [s.key("generate.base.seq_length"), s.model_key],
            f"{length} tokens for the original weights",
            f"at most {s.architecture.max_position_embeddings}, the context of {s.known.name}",
            f"set generate.base: {{seq_length: {s.architecture.max_position_embeddings}}}",
        )


def dtype(s: Setup) -> Iterator[Finding]:
    """Weights keep the type they were published in; the CPU back end multiplies fp32 only."""
    e = s.experiment
    wanted = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
    published = wanted.get(str(s.known.config.get("torch_dtype")) if s.known else "")
    if e.hardware.device == "CPU" and e.train.engine == "mindspore":
        if e.convert.layout.params_dtype != "fp32":
            yield error(
                "dtype-cpu",
                [s.key("params_dtype"), f"{s.hardware_key}.device"],
                f"{e.convert.layout.params_dtype} on a CPU",
                "fp32",
                "set params_dtype to fp32, or choose hardware with an NPU",
            )
    elif published and e.convert.layout.params_dtype != published:
        yield warning(
            "dtype",
            [s.key("params_dtype"), s.model_key],
            e.convert.layout.params_dtype,
            f"{published}, as config.json of {s.known.name} says",
            f"set params_dtype to {published}",
        )


def device(s: Setup) -> Iterator[Finding]:
    """MindSpeed-LLM runs on NPUs."""
    machine = s.experiment.hardware
    for name, stage in s.stages():
        if stage.engine == "mindspeed-llm" and machine.device == "CPU":
            yield error(
                "engine-device",
                [s.stage_key(name, "engine"), f"{s.hardware_key}.device"],
                "mindspeed-llm on a CPU",
                "device: Ascend",
                "choose hardware with NPUs, or engine: mindspore",
            )


def builtin_options(s: Setup) -> Iterator[Finding]:
    """The built-in engine has no part in these Megatron options."""
    if s.experiment.train.engine != "mindspore":
        return
    found = ["sequence_parallel"] if s.train["sequence_parallel"] else []
    found += ["context_parallel_size"] if s.train["context_parallel_size"] > 1 else []
    if found:
        yield error(
            "engine-option",
            [*(s.key(f"train.{key}") for key in found), s.stage_key("train", "engine")],
            ", ".join(found),
            "options that the built-in engine has",
            "leave them out, or choose train.engine: mindspeed-llm",
        )
    layout, keys = s.experiment.train.layout, []
    if layout.tensor_parallel_size * layout.pipeline_parallel_size > 1:
        keys.append(s.stage_key("train", "layout"))
    if s.train.get("use_distributed_optimizer"):
        keys.append(s.key("train.use_distributed_optimizer"))
    if "lora" in s.train and keys:
        yield error(
            "engine-option",
            [s.key("train.lora"), *keys],
            "adapters of a model that is cut over ranks, or whose optimizer is",
            "TP1, PP1, no use_distributed_optimizer",
            "set train.layout: {tensor_parallel_size: 1, pipeline_parallel_size: 1}: ranks then share a batch",
        )


def vocabulary(s: Setup) -> Iterator[Finding]:
    """Every token id has a row in the embedding."""
    if s.tokenizer is None:
        return
    highest = max(s.tokenizer.tokens.values(), default=0)
    if not highest < s.tokenizer.length <= s.architecture.vocab_size:
        yield error(
            "vocabulary",
            [s.model_key],
            f"vocab_size {s.architecture.vocab_size}, {s.tokenizer.length} tokens, highest special id {highest}",
            "vocab_size >= tokens > highest id",
            "correct config.json's vocab_size",
        )


CHECKS = (
    known,
    rope_base,
    rope_context,
    rope_scaled,
    rope_agreement,
    context,
    base_context,
    dtype,
    device,
    builtin_options,
    vocabulary,
)
