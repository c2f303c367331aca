"""What an experiment takes: tokens, operations, memory, disk and time, before anything runs.

Everything is derived from the configuration and the recorded config.json. What only the data can tell is
estimated from `tokens_per_row` where a dataset states it, else bounded from above by the sequence length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from distillery import artefacts, lineage, shard_files
from distillery.artefacts import Artefact
from distillery.experiment import Config
from distillery.planning import device_facts, memory, stage_costs
from distillery.planning.experiment_setup import Setup, gather
from distillery.planning.finding import Finding
from distillery.planning.memory import GIB
from distillery.planning.plan_step import START_SECONDS, Step, select_step

# bytes of a row of OpenR1-Math-220k on disk: ten shards of 213 to 217 MB hold 93,733 rows
PARQUET_BYTES_PER_TOKEN = 4.3
GENERATED_ROW_BYTES = 87  # 3200 rows of the arithmetic generator are 279,389 bytes
TOKENIZED_BYTES_PER_TOKEN = 3 * 4  # ids, mask and labels, int32 each
# measured with 12.5 M tokens (README): ours 1.94 CPU s with its start, 0.27 GB; the reference 53 CPU s, 1.2 GB
TOKENIZED_PER_CPU_SECOND = {"mindspore": 8.7e6, "mindspeed-llm": 0.24e6}
TOKENIZER_BYTES = {"mindspore": 0.27e9, "mindspeed-llm": 1.2e9}
# ours streams: 24 MB of anonymous memory for 1.26 GB of weights, beside Python and numpy
CONVERTER_BYTES = 0.1 * GIB
# bytes of memory for a byte of weights that the reference's converter took: 4.24 and 5.5 GB for 1.26 GB
REFERENCE_TO_MCORE, REFERENCE_TO_HF = 3.4, 4.4
BYTES_PER_SECOND = 0.5e9  # disk to disk, of conversions
REFERENCE_BYTES_PER_SECOND = 0.045e9  # 1.26 GB in 28 CPU s; back in 33 to 40
QUALITY_BYTES, QUALITY_ROW_BYTES = 0.09e9, 2400  # of 12,800 rows 0.12 GB, of 93,733 0.31
LEAST_MEGABYTES = 4000  # as the profiles give any job
# Megatron's share is assumed, not measured; a job that takes more than it asked for is killed
MEMORY_ROOM = 1.5
SCANNED_ROWS_PER_SECOND = 2300  # of the quality card: 93,733 rows in 42 CPU s


@dataclass(frozen=True)
class Estimate:
    """All steps of an experiment, and what they were estimated with."""

    experiment: str
    steps: tuple[Step, ...]
    assumptions: dict[str, object] = field(default_factory=dict)


def of(s: Setup) -> Estimate:
    """The estimate of one experiment."""
    e = s.experiment
    also = [(one.dataset.name, [*stage_costs.teacher_steps(one), *_data(one)]) for one in s.others]
    others = [replace(step, name=f"{step.name} {dataset}") for dataset, steps in also for step in steps]
    made = (*_data(s), *others, *_weights(s), stage_costs.train_step(s), *_export(s))
    steps = (*stage_costs.teacher_steps(s), *made, *stage_costs.answer_steps(s))
    taught = [one for one in (s, *s.others) if one.teacher and one.taught]
    questions = sum(one.taught * one.teacher.settings["samples"] for one in taught)
    assumptions = {
        "peak_tflops": device_facts.peak_tflops(e.hardware),
        "utilisation": stage_costs.utilisation(e.train),
        "rows": s.rows,
        "teacher": f"{questions} questions at most" if questions else None,
        "epochs": s.epochs,
        "mix": s.mix,
        "tokens_per_row": s.dataset.source.settings.get("tokens_per_row", f"at most {e.train.seq_length}"),
        # a bound from bandwidth alone; users report ten times as long from early engines
        "answers": "unmeasured on NPUs, may take ten times as long"
        if e.hardware.device == "Ascend"
        else None,
    }
    return Estimate(e.name, steps, assumptions)


def summary(config: Config, name: str, findings: Iterable[Finding]) -> dict[str, Any]:
    """What the plan says of one experiment, as JSON: `{"estimate": Estimate, "findings": [Finding]}`.

    Args:
        findings: of all experiments.
    """
    return {
        "estimate": asdict(of(gather(config, name))),
        "findings": [asdict(one) for one in findings if name in one.experiments],
    }


def megabytes(config: Config, name: str, rule: str) -> int:
    """Memory that a job of `rule` asks a scheduler for on each of its nodes: its estimate and half as much again.

    It is never more than the node has. Where nothing can be estimated it is the whole node, or LEAST_MEGABYTES where that
    is not known either.
    """
    steps = of(gather(config, name)).steps
    of_rule = [step.host_bytes for step in steps if rule in step.rules]
    estimated = max(of_rule) if of_rule and None not in of_rule else None
    memory = config.experiments[name].hardware.host_memory_gib
    node = None if memory is None else int(memory * 1024)
    if estimated is None:
        return node or LEAST_MEGABYTES
    wanted = max(LEAST_MEGABYTES, round(estimated * MEMORY_ROOM / 1e6))
    return wanted if node is None else min(wanted, node)


def _data(s: Setup) -> tuple[Step, ...]:
    """Shards, and what tokenization makes of them: once in parts, once merged."""
    e, source = s.experiment, s.dataset.source
    tokens, engine = s.tokens, e.tokenize.engine
    parts, merged = artefacts.tokenized_shards(e, "train-*"), artefacts.tokenized(e)
    size = None if tokens is None else tokens * TOKENIZED_BYTES_PER_TOKEN
    starts = len(shard_files.batches(s.dataset, e.tokenize))
    # what comes from a hub lies in a store, and is linked
    stored = source.kind in ("hub", "url")
    return (
        Step(
            "fetch data",
            tuple(f"fetch_{kind}shard" for kind in ("", "generated_", "path_", "solution_", "teacher_")),
            "-",
            artefacts.store(f"datasets/{e.dataset}")
            if stored
            else artefacts.SHARD.of(dataset=e.dataset).folder,
            disk_bytes=_shard_bytes(s),
        ),
        *([select_step(chosen, s.own_rows, tokens)] if (chosen := e.tokenize.selection) else []),
        Step(
            "tokenize",
            ("tokenize_shard", "tokenize_shard_mindspeed"),
            engine,
            parts.folder,
            parts.benchmark,
            host_bytes=TOKENIZER_BYTES[engine],
            disk_bytes=size,
            tokens=tokens,
            seconds=None
            if tokens is None
            else starts * START_SECONDS + tokens / TOKENIZED_PER_CPU_SECOND[engine],
        ),
        Step(
            "merge",
            ("tokenize_merge",),
            "-",
            f"{merged.path.removesuffix(artefacts.TOKENIZED_ENDING)}_*",
            merged.benchmark,
            host_bytes=CONVERTER_BYTES,
            disk_bytes=size,
            seconds=_copying(size),
        ),
        Step(
            "quality",
            ("tokenize_quality",),
            "-",
            timed=artefacts.quality(e).benchmark,
            host_bytes=QUALITY_BYTES + QUALITY_ROW_BYTES * (s.own_rows or 0),
            seconds=None if s.own_rows is None else START_SECONDS + s.own_rows / SCANNED_ROWS_PER_SECOND,
        ),
    )


def _weights(s: Setup) -> tuple[Step, ...]:
    """From the hub to what training starts from."""
    e, size = s.experiment, weight_bytes(s)
    linked = s.model.kind == "path" and s.model.settings["mode"] == "link"
    rules = ("fetch_generated_model", "fetch_gguf_model", "fetch_model", "fetch_path_model")
    folder = artefacts.MODEL.of(model=e.model).folder
    fetched = Step("fetch model", rules, "-", folder, disk_bytes=0 if linked else size)
    found = [
        # the export of the experiment that it starts from is a step of that one
        *([] if s.model.kind == lineage.KIND else [fetched]),
        _converter(
            s,
            "convert",
            ("convert_hf_to_mcore", "convert_hf_to_mcore_mindspeed"),
            artefacts.converted(e),
            REFERENCE_TO_MCORE,
        ),
        _proof("prove conversion", "convert_prove_round_trip", artefacts.conversion_proof(e), size),
    ]
    if e.train.layout != e.convert.layout:
        found.append(_copy("reshard", "convert_reshard", artefacts.weights(e), size))
    return tuple(found)


def _export(s: Setup) -> tuple[Step, ...]:
    """From training's checkpoint to what is handed over and what answers."""
    e, size = s.experiment, weight_bytes(s)
    exported, proof = (one.of(experiment=e.name) for one in (artefacts.EXPORTED, artefacts.EXPORT_PROOF))
    rules = ("convert_mcore_to_hf", "convert_mcore_to_hf_mindspeed")
    found = [
        _converter(s, "export", rules, exported, REFERENCE_TO_HF),
        _proof("prove export", "convert_prove_export", proof, size),
    ]
    if e.generate.layout != e.train.layout:
        found.append(_copy("reshard tuned", "convert_reshard_tuned", artefacts.tuned_weights(e), size))
    return tuple(found)


def weight_bytes(s: Setup) -> float | None:
    """Of all parameters, in the experiment's type."""
    width = memory.WIDTH[s.experiment.convert.layout.params_dtype]
    return s.architecture.num_parameters * width if s.architecture else None


def _converter(s: Setup, name: str, rules: tuple[str, ...], made: Artefact, factor: float) -> Step:
    """Between Hugging Face and MCore.

    Args:
        rules: by our converter, by the reference's.
        made: by the step.
        factor: bytes of memory that the reference's takes for a byte of weights.
    """
    size, engine = weight_bytes(s), s.experiment.convert.engine
    if engine == "mindspore":
        return _copy(name, rules[0], made, size)
    seconds = None if size is None else size / REFERENCE_BYTES_PER_SECOND
    taken = None if size is None else size * factor
    files = made.folder, made.benchmark
    return Step(name, rules[1:], engine, *files, host_bytes=taken, disk_bytes=size, seconds=seconds)


def _copy(name: str, rule: str, made: Artefact, size: float | None) -> Step:
    """Weights rewritten by our converter, which streams them."""
    files, seconds = (made.folder, made.benchmark), _copying(size)
    return Step(
        name, (rule,), "mindspore", *files, host_bytes=CONVERTER_BYTES, disk_bytes=size, seconds=seconds
    )


def _proof(name: str, rule: str, made: Artefact, size: float | None) -> Step:
    """Both sides read, tensor by tensor."""
    return Step(name, (rule,), "-", timed=made.benchmark, host_bytes=CONVERTER_BYTES, seconds=_copying(size))


def _copying(size: float | None) -> float | None:
    """Seconds to read so many bytes and write them, or to read them twice."""
    return None if size is None else START_SECONDS + 2 * size / BYTES_PER_SECOND


def _shard_bytes(s: Setup) -> float | None:
    """Parquet that comes to this disk: nothing where a path is linked."""
    source = s.dataset.source
    if source.kind == "path" and source.settings["mode"] == "link":
        return 0
    if source.kind == "generator":
        return s.own_rows * GENERATED_ROW_BYTES
    mean = source.settings.get("tokens_per_row")
    return None if s.own_rows is None or mean is None else s.own_rows * mean * PARQUET_BYTES_PER_TOKEN
