"""What an experiment takes: tokens, operations, memory, disk and time, before anything runs.

Everything is derived from the configuration and the recorded config.json. What only the data can tell is
estimated from `tokens_per_row` where a dataset states it, else bounded from above by the sequence length.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from distillery.experiment import Layout, Stage
from distillery.planning import chips, memory, throughput
from distillery.planning.memory import GIB, Memory, Run
from distillery.planning.subject import Subject

# bytes of a row of OpenR1-Math-220k on disk: ten shards of 213 to 217 MB hold 93,733 rows
PARQUET_BYTES_PER_TOKEN = 4.3
GENERATED_ROW_BYTES = 87  # 3200 rows of the arithmetic generator are 279,389 bytes
TOKENIZED_BYTES_PER_TOKEN = 3 * 4  # ids, mask and labels, int32 each
# of a parameter: two fp32 moments, and fp32 weights where they are of another type
MOMENT_BYTES, MASTER_BYTES = 8, 4
TOKENIZED_PER_CPU_SECOND = 3.8e6  # measured: the fast encoder with reading and writing
# its compiled graph holds gradients of activations beside them: fitted on 25 M parameters with 16 rows of 256 tokens
GRAPH_FACTOR = 1.67
RUNTIME_BYTES = 0.55e9  # Python with MindSpore and its compiled graph, on a CPU, before any tensor
# it streams: 24 MB of anonymous memory for 1.26 GB of weights, beside Python and numpy
CONVERTER_BYTES = 0.1 * GIB
BYTES_PER_SECOND = 0.5e9  # disk to disk, of conversions
CACHED_BYTES = 4  # of a key or value: the built-in engine keeps them in fp32
STEP_SECONDS = 1e-3  # measured: Python and a graph's start, per step of generation
ANSWER_BYTES_PER_TOKEN = 10  # measured: text and ids as JSON


@dataclass(frozen=True)
class Job:
    """One step of an experiment: devices, bytes and seconds; None where nothing can be said yet.

    `peak_bytes` is what a sampler would see: on a device its memory, on a CPU the process.
    """

    step: str
    engine: str
    devices: int
    device_memory: Memory | None = None
    host_bytes: float | None = None
    peak_bytes: float | None = None
    disk_bytes: float | None = None
    tokens: float | None = None
    flops: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """All steps of an experiment, and how they were reckoned."""

    experiment: str
    jobs: tuple[Job, ...]
    disk_peak: float | None
    assumptions: dict[str, object] = field(default_factory=dict)


def of(s: Subject) -> Estimate:
    """The estimate of one experiment."""
    e = s.experiment
    weights = _weights(s)
    tokens = dataset_tokens(s)
    data = s.dataset.source.settings
    fetched = (s.rows or 0) * _row_bytes(s)
    converted = None if weights is None else weights / BYTES_PER_SECOND * 2
    jobs = (
        Job("fetch", "-", 0, disk_bytes=None if weights is None else weights + fetched),
        Job(
            "tokenize",
            "mindspore",
            0,
            host_bytes=0.4 * GIB,
            # once in parts, once merged
            disk_bytes=None if tokens is None else 2 * tokens * TOKENIZED_BYTES_PER_TOKEN,
            tokens=tokens,
            seconds=None if tokens is None else tokens / TOKENIZED_PER_CPU_SECOND,
        ),
        Job("convert", "mindspore", 0, host_bytes=CONVERTER_BYTES, disk_bytes=weights, seconds=converted),
        _training(s),
        Job("export", "mindspore", 0, host_bytes=CONVERTER_BYTES, disk_bytes=weights, seconds=converted),
        _answering(s),
    )
    sizes = [job.disk_bytes for job in jobs]
    known = [size for size in sizes if size is not None]
    reckoned = {
        "peak_tflops": chips.peak_tflops(e.hardware),
        "utilisation": utilisation(e.training),
        "rows": s.rows,
        "epochs": s.epochs,
        "tokens_per_row": data.get("tokens_per_row", f"at most {e.training.seq_length}"),
    }
    return Estimate(e.name, jobs, sum(known) if known else None, reckoned)


def utilisation(stage: Stage) -> float:
    """Share of the peak at which a stage trains."""
    return throughput.utilisation("tuning") if stage.engine == "mindspeed-llm" else BUILT_IN_UTILISATION


# the built-in engine on a CPU, of fp32 matmul's peak: the embedded experiment's 2.7e12 operations took 30 s on two
# idle threads (0.57) and 40 s on two busy ones (0.43)
BUILT_IN_UTILISATION = 0.5


def dataset_tokens(s: Subject) -> float | None:
    """Tokens of the rows that are tokenized: stated, or at most the length at which rows are left out."""
    if s.rows is None:
        return None
    mean = s.dataset.source.settings.get("tokens_per_row")
    limit = s.experiment.tokenization.seq_length
    if mean is None and limit is None:
        return None
    return s.rows * min(filter(None, (mean, limit)))


def training_run(s: Subject, stage: Stage | None = None, recompute: bool | None = None) -> Run:
    """What training memory depends on, of this experiment or of another layout for it."""
    stage = stage or s.experiment.training
    train = s.train
    replicas = max(1, s.world(stage) // s.model_parallel(stage))
    reference = stage.engine == "mindspeed-llm"
    distributed = train.get("use_distributed_optimizer", reference)
    low = stage.layout.params_dtype != "fp32"
    return Run(
        seq_length=stage.seq_length,
        micro_batch_size=train["micro_batch_size"],
        microbatches=max(1, train["global_batch_size"] // (train["micro_batch_size"] * replicas)),
        data_parallel=replicas,
        context_parallel=train.get("context_parallel_size", 1),
        sequence_parallel=train.get("sequence_parallel", False),
        recompute=train.get("recompute_granularity") == "full" if recompute is None else recompute,
        distributed_optimizer=distributed,
        master_weights=low and not train.get("reuse_fp32_param", distributed),
    )


def training_memory(s: Subject, layout: Layout | None = None) -> Memory | None:
    if s.architecture is None:
        return None
    return memory.fullest(s.architecture, layout or s.experiment.training.layout, training_run(s))


def _row_bytes(s: Subject) -> float:
    """Of a parquet row on disk."""
    if s.dataset.source.kind == "generator":
        return GENERATED_ROW_BYTES
    return s.dataset.source.settings.get("tokens_per_row", 0) * PARQUET_BYTES_PER_TOKEN


def _weights(s: Subject) -> float | None:
    width = memory.WIDTH[s.experiment.layout.params_dtype]
    return s.architecture.num_parameters * width if s.architecture else None


def _training(s: Subject) -> Job:
    stage, train = s.experiment.training, s.train
    devices, model = s.world(stage), s.architecture
    if model is None:
        return Job("train", stage.engine, devices)
    mean = s.dataset.source.settings.get("tokens_per_row")
    varies = train.get("variable_seq_lengths", stage.engine == "mindspeed-llm") and mean
    length = min(mean, stage.seq_length) if varies else stage.seq_length
    tokens = train["train_iters"] * train["global_batch_size"] * length
    recompute = train.get("recompute_granularity") == "full"
    flops = tokens * throughput.flops_per_token(model, length, recompute)
    peak = chips.peak_tflops(s.experiment.hardware)
    kept = 1 + (train["train_iters"] - 1) // train["save_interval"]
    width = memory.WIDTH[stage.layout.params_dtype]
    state = 0 if train.get("no_save_optim") else MOMENT_BYTES + (MASTER_BYTES if width == 2 else 0)
    used = training_memory(s)
    return Job(
        "train",
        stage.engine,
        devices,
        device_memory=used,
        peak_bytes=_process(used) if s.experiment.hardware.device == "CPU" else used.total,
        # two generations of a resumable checkpoint are kept while the newer is written
        disk_bytes=model.num_parameters * (width + state) * min(kept, 2),
        tokens=tokens,
        flops=flops,
        seconds=flops / (devices * peak * 1e12 * utilisation(stage)) if peak else None,
    )


def _process(used: Memory) -> float:
    """Resident bytes of the built-in engine on a CPU."""
    weights = used.parameters + used.gradients + used.optimizer
    return RUNTIME_BYTES + weights + GRAPH_FACTOR * (used.activations + used.logits)


def _answering(s: Subject) -> Job:
    """The tuned model's answers, by the built-in engine whatever `generate.engine` adds. Upper bounds: none ends early.

    A step reads each tensor rank's share of all weights, stage after stage, and multiplies them with a token of
    every sequence: it takes the longer of the two, and its start. Prompts come on top, in large pieces.
    """
    stage, settings = s.experiment.answering, s.generate
    rows, model = s.problems.settings.get("rows"), s.architecture
    devices = s.model_parallel(stage)
    if rows is None or model is None:
        return Job("answer", "mindspore", devices)
    tensor, sequences = stage.layout.tensor_parallel_size, settings["micro_batch_size"]
    new = rows * settings["num_samples"] * settings["max_new_tokens"]
    bandwidth, peak = chips.bandwidth_tbs(s.experiment.hardware), chips.peak_tflops(s.experiment.hardware)
    seconds = None
    if bandwidth and peak:
        reading = _weights(s) / tensor / (bandwidth * 1e12)
        multiplying = sequences * 2 * model.num_parameters / tensor / (peak * 1e12)
        seconds = new / sequences * (max(reading, multiplying) + STEP_SECONDS)
    used = memory.answering(model, stage.layout, sequences, stage.seq_length, CACHED_BYTES)
    return Job(
        "answer",
        "mindspore",
        devices,
        device_memory=used,
        tokens=new,
        flops=new * 2 * model.num_parameters,
        disk_bytes=new * ANSWER_BYTES_PER_TOKEN,
        seconds=seconds,
    )
