"""Settings that are written down and change nothing: the engine, the machine or another setting leaves them aside."""

from __future__ import annotations

from collections.abc import Iterator

from distillery.launch import prefix
from distillery.planning.experiment_setup import Setup
from distillery.planning.finding import Finding, warning
from distillery.tokenize import templates


def idle(s: Setup) -> Iterator[Finding]:
    """One finding for all of an experiment's that have the same reason."""
    for keys, reason, expected in (*_training(s), *_answers(s), *_tokens(s), *_shards(s), *_machine(s)):
        if keys:
            names = [key.rpartition(".")[2] for key in keys]
            yield warning(
                "no-effect", keys, f"{', '.join(names)}, without effect: {reason}", expected, "leave it out"
            )


Idle = tuple[list[str], str, str]  # keys, why they have no effect, what would have one


def _written(s: Setup, when: bool, section: str, *keys: str) -> list[str]:
    return [s.key(f"{section}.{key}") for key in keys if when and s.says(f"{section}.{key}")]


def _training(s: Setup) -> Iterator[Idle]:
    def of_train(when: bool, *keys: str) -> list[str]:
        return _written(s, when, "train", *keys)

    theirs, packed = s.experiment.train.engine == "mindspeed-llm", s.experiment.tokenize.pack
    yield of_train(theirs, "keep_checkpoints"), "MindSpeed-LLM keeps all", "train.engine: mindspore"
    aside = of_train(not theirs, "reuse_fp32_param", "variable_seq_lengths", "reset_position_ids")
    yield aside, "the built-in engine decides so itself", "train.engine: mindspeed-llm"
    selective = s.train.get("recompute_granularity") == "selective"
    adapted = (
        s.train.get("lora") is not None
    )  # then activations are computed again unless this says otherwise
    kept = of_train(not theirs and selective and not adapted, "recompute_granularity")
    yield kept, "the built-in engine's attention keeps no scores", "full"
    unshared = float(s.train["split"].split(",")[1]) == 0
    evaluation = of_train(unshared, "eval_interval", "eval_iters")
    yield evaluation, "no document is left to evaluate on", "a second share in train.split"
    whole = theirs and s.train["sequence_parallel"] and s.experiment.train.layout.tensor_parallel_size == 1
    yield of_train(whole, "sequence_parallel"), "Megatron switches it off at TP1", "a TP above 1"
    constant = s.train["lr_decay_style"] == "constant"
    yield of_train(constant, "min_lr"), "a constant rate never falls", "another lr_decay_style"
    yield _written(s, not packed, "tokenize", "n_subs"), "nothing is packed", "pack: true"


def _answers(s: Setup) -> Iterator[Idle]:
    ours = s.experiment.generate.engine != "mindspeed-llm"
    batches = _written(s, s.experiment.tuned_generation.server is not None, "generate", "micro_batch_size")
    yield batches, "a server makes its batches itself", "generate.engine: mindspore"
    keys = _written(s, ours, "generate", "use_kv_cache", "max_tokens_to_oom")
    yield (
        keys,
        "the built-in engine always keeps a cache of the whole context",
        "generate.engine: mindspeed-llm",
    )


def _tokens(s: Setup) -> Iterator[Idle]:
    style = templates.find(s.experiment.tokenize.prompt_type)
    plain = style is not None and not style.reasoning
    thoughts = _written(s, plain, "tokenize", "enable_thinking")
    yield thoughts, "this prompt type leaves thoughts as they are", "a reasoning prompt type"


def _shards(s: Setup) -> Iterator[Idle]:
    whole = {
        "rows are packed, which looks at all of a shard": s.experiment.tokenize.pack,
        "MindSpeed-LLM reads whole files": s.experiment.tokenize.engine == "mindspeed-llm",
        "one job reads several shards": s.dataset.shards_per_job > 1,
    }
    for reason, holds in whole.items():
        if holds and s.dataset.jobs_per_shard > 1:
            yield [f"{s.dataset_key}.jobs_per_shard"], reason, "a shard that is divided"
            return


def _machine(s: Setup) -> Iterator[Idle]:
    """One process on a CPU is simply started: nothing launches it, and nothing is sourced before."""
    e, machine = s.experiment, s.experiment.hardware
    launched = any(prefix.line(e, stage, "launch") for stage in ("train", "generate"))
    server = e.tuned_generation.server
    if launched or "mindspeed-llm" in e.engines.values() or (server and server.python):
        return
    found = [
        f"hardware.{machine.name}.{key}"
        for key in ("set_env", "environment", "node_environment", "deterministic")
        if getattr(machine, key)
    ]
    yield found, "one process on a CPU is started as it is", "a machine with devices, or several ranks"


CHECKS = (idle,)
