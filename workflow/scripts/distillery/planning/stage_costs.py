"""What training and answers take: tokens, operations, memory of devices and nodes, files and time.

Of answers these are upper bounds: no answer ends early.
"""

from __future__ import annotations

from distillery import artefacts, lora, set_artefacts
from distillery.artefacts import Artefact
from distillery.experiment import Generation, Stage
from distillery.launch import prefix, server_line
from distillery.planning import device_facts, memory
from distillery.planning.experiment_setup import Setup
from distillery.planning.memory import Memory, Run
from distillery.planning.plan_step import START_SECONDS, Step

# the built-in engine on a CPU, of fp32 matmul's peak: 2.7e12 operations of the embedded experiment's shape took 30 s on two
# idle threads (0.57) and 40 s on two busy ones (0.43)
BUILT_IN_UTILISATION = 0.5
LOGITS_AT_ONCE = 2**24  # where it recomputes, logits come in pieces: engine/passes.py
# a rank of Megatron beside its device: Python, CANN and buffers. An assumption, no NPU was here to measure it
RANK_HOST_BYTES = 4e9
CACHED_BYTES = 4  # of a key or value: the engine keeps them in fp32, whatever the weights are
STEP_SECONDS = 1e-3  # measured: Python and a graph's start, per step of generation
ANSWER_BYTES_PER_TOKEN = 10  # measured: text and ids as JSON
SCORE_BYTES, SCORE_HOST_BYTES = 250, 0.26e9  # measured: of a line; of the process with sympy
SCORED_PER_SECOND = 250  # measured: 400 answers in 2 CPU s, start-up included


def utilisation(stage: Stage) -> float:
    """Share of the peak at which a stage trains."""
    return device_facts.utilisation("tuning") if stage.engine == "mindspeed-llm" else BUILT_IN_UTILISATION


def run(s: Setup, stage: Stage | None = None, recompute: bool | None = None) -> Run:
    """What training memory depends on, of this experiment or of another layout for it."""
    stage = stage or s.experiment.train
    train = s.train
    replicas = max(1, s.world(stage) // s.model_parallel(stage))
    reference = stage.engine == "mindspeed-llm"
    distributed = train.get("use_distributed_optimizer", reference)
    low = stage.layout.params_dtype != "fp32"
    adapted, again = lora.of(train.get("lora")), recompute
    if again is None:
        again = lora.recomputes(train.get("recompute_granularity"), adapted is not None)
    return Run(
        seq_length=stage.seq_length,
        micro_batch_size=train["micro_batch_size"],
        microbatches=max(1, train["global_batch_size"] // (train["micro_batch_size"] * replicas)),
        data_parallel=replicas,
        context_parallel=train["context_parallel_size"],
        sequence_parallel=train["sequence_parallel"],
        recompute=again,
        logits_at_once=LOGITS_AT_ONCE if again and not reference else None,
        lora=adapted,
        distributed_optimizer=distributed,
        master_weights=low and not train.get("reuse_fp32_param", distributed),
    )


def device_memory(s: Setup) -> Memory | None:
    """Of the fullest device; None where the model is not known."""
    if s.architecture is None:
        return None
    return memory.fullest(s.architecture, s.experiment.train.layout, run(s))


def train_step(s: Setup) -> Step:
    """Training as a step."""
    stage, train, model = s.experiment.train, s.train, s.architecture
    devices, rules = s.world(stage), ("train", "train_mindspeed")
    made = artefacts.TRAINED.of(experiment=s.experiment.name)
    if model is None:
        return Step("train", rules, stage.engine, made.folder, made.benchmark, devices)
    length = mean_length(s)
    tokens = train["train_iters"] * train["global_batch_size"] * length
    taken, used = run(s), device_memory(s)
    flops = tokens * model.flops_per_token(length, taken.recompute, frozen=taken.lora is not None)
    peak = device_facts.peak_tflops(s.experiment.hardware)
    on_cpu = s.experiment.hardware.device == "CPU"
    process = memory.process_bytes(used)
    return Step(
        "train",
        rules,
        stage.engine,
        made.folder,
        made.benchmark,
        devices,
        device_memory=used,
        host_bytes=process * stage.npus_per_node if on_cpu else _node_bytes(s),
        peak_bytes=process if on_cpu else used.total,
        disk_bytes=checkpoint_bytes(s) * _checkpoints(s),
        tokens=tokens,
        flops=flops,
        seconds=flops / (devices * peak * 1e12 * utilisation(stage)) if peak else None,
    )


def mean_length(s: Setup) -> float:
    """Tokens of a sequence as it is trained: padded or packed to its full length, or the rows' own where it varies."""
    stage, packed = s.experiment.train, s.experiment.tokenize.pack
    varies = s.train.get("variable_seq_lengths", stage.engine == "mindspeed-llm" and not packed)
    mean = s.dataset.source.settings.get("tokens_per_row")
    return min(mean, stage.seq_length) if varies and mean else stage.seq_length


def checkpoint_bytes(s: Setup) -> int:
    """Bytes of a checkpoint, with its optimizer's state."""
    dtype, adapted = s.experiment.train.layout.params_dtype, lora.of(s.train.get("lora"))
    return memory.checkpoint_bytes(s.architecture, dtype, adapted, state=not s.train["no_save_optim"])


def _checkpoints(s: Setup) -> int:
    """That lie there at the end: of the built-in engine the last few; nothing removes those of Megatron."""
    written = -(-s.train["train_iters"] // s.train["save_interval"])
    kept = written if s.experiment.train.engine == "mindspeed-llm" else s.train["keep_checkpoints"]
    return min(written, kept)


def _node_bytes(s: Setup) -> float:
    """Memory of a node beside its devices: its ranks, and weights on their way in or a checkpoint on its way out.

    Each rank loads its share of the weights into the node's memory; a distributed optimizer gathers the state of
    all replicas on the ranks of the first one, to save it.
    """
    stage, weights = s.experiment.train, s.architecture.num_parameters
    copies = stage.npus_per_node / s.model_parallel(stage)
    loading = weights * memory.WIDTH[stage.layout.params_dtype] * copies
    saving = checkpoint_bytes(s) * min(1, copies)
    return stage.npus_per_node * RANK_HOST_BYTES + max(loading, saving)


def answer_steps(s: Setup) -> tuple[Step, ...]:
    """Answers of the original and of the tuned weights by the built-in engine, and their scores.

    MindSpeed-LLM's answer to its own question, where it is asked, takes the same devices; how long is not known.
    """
    e = s.experiment
    found = []
    for problems, asked in e.asked.items():
        own, count = problems == e.problems, s.problem_rows(problems)
        of = "" if own else f" {problems}"
        base, base_scores = artefacts.base_answers(e, problems), artefacts.base_scores(e, problems)
        tuned, scores = (
            set_artefacts.of_set(one, e, problems)
            for one in (artefacts.TUNED_ANSWERS, artefacts.TUNED_SCORES)
        )
        by = ["_served" if one.server else "" for one in (asked.base, asked.tuned)]
        rules = (
            f"generate_{'tuned' if own else 'set'}_answers{by[1]}",
            "evaluate_tuned" if own else "evaluate_set",
        )
        found += [
            _answers(s, f"generate base{of}", f"generate_base_answers{by[0]}", asked.base, base, count),
            _scores(s, f"evaluate base{of}", "evaluate_base", asked.base, base_scores),
            _answers(s, f"generate tuned{of}", rules[0], asked.tuned, tuned, count),
            _scores(s, f"evaluate tuned{of}", rules[1], asked.tuned, scores),
        ]
    if artefacts.mindspeed_answer(e):
        rules = ("generate_mindspeed_answer",)
        found.append(
            Step("generate built-in question", rules, "mindspeed-llm", devices=s.model_parallel(e.generate))
        )
    return tuple(found)


def teacher_steps(s: Setup) -> tuple[Step, ...]:
    """What a dataset's teacher answers, by its own weights or by a server; none where there is no teacher."""
    teacher = s.teacher
    if teacher is None:
        return ()
    made = artefacts.TEACHER_ANSWERS.of(teacher=teacher.name).everywhere
    rule = f"generate_teacher_answers{'' if not teacher.server else '_served' if teacher.experiment else '_foreign'}"
    return (_answers(s.taught_by or s, "ask teacher", rule, teacher.generation, made, s.taught),)


def _answers(
    s: Setup, name: str, rule: str, generation: Generation, made: Artefact, problems: int | None
) -> Step:
    """Of one model; the step makes `made`.

    A step of generation reads each tensor rank's share of all weights, stage after stage, and multiplies them with a
    token of every sequence: it takes the longer of the two, and its start. Prompts come on top, in large pieces. Copies
    of the model that fill the node share the problems.
    """
    if generation.server:
        return _served(s, name, rule, generation, made, problems)
    layout, settings, model = s.experiment.generate.layout, generation.settings, s.architecture
    devices = prefix.workers(s.experiment, "generate")
    if problems is None or model is None:
        return Step(name, (rule,), "mindspore", made.path, made.benchmark, devices)
    tensor = layout.tensor_parallel_size
    asked = problems * settings["num_samples"]
    # the copy with the most prompts
    of_one = -(-asked // (devices // s.model_parallel(s.experiment.generate)))
    sequences = min(settings["micro_batch_size"], of_one)
    new = asked * settings["max_new_tokens"]
    hardware = s.experiment.hardware
    bandwidth, peak = device_facts.bandwidth_tbs(hardware), device_facts.peak_tflops(hardware)
    seconds = None
    width = memory.INT8_WIDTH if settings.get("weights") == "int8" else memory.WIDTH[layout.params_dtype]
    if bandwidth and peak:
        reading = model.num_parameters * width / tensor / (bandwidth * 1e12)
        multiplying = sequences * 2 * model.num_parameters / tensor / (peak * 1e12)
        seconds = of_one * settings["max_new_tokens"] / sequences * (max(reading, multiplying) + STEP_SECONDS)
    used = memory.generate(model, layout, sequences, generation.seq_length, CACHED_BYTES, width)
    process, on_cpu = memory.RUNTIME_BYTES + used.total, hardware.device == "CPU"
    return Step(
        name,
        (rule,),
        "mindspore",
        made.path,
        made.benchmark,
        devices,
        device_memory=used,
        # on a device the weights pass through, a tensor at a time
        host_bytes=devices * (process if on_cpu else memory.RUNTIME_BYTES),
        peak_bytes=process if on_cpu else used.total,
        tokens=new,
        flops=new * 2 * model.num_parameters,
        disk_bytes=new * ANSWER_BYTES_PER_TOKEN,
        seconds=seconds,
    )


def _served(
    s: Setup, name: str, rule: str, generation: Generation, made: Artefact, problems: int | None
) -> Step:
    """The same by a server, whose speed is not known."""
    server, settings = generation.server, generation.settings
    new = None if problems is None else problems * settings["num_samples"] * settings["max_new_tokens"]
    size = None if new is None else new * ANSWER_BYTES_PER_TOKEN
    taken = server_line.resources(s.experiment, server)["npu"]
    return Step(name, (rule,), server.name, made.path, made.benchmark, taken, disk_bytes=size, tokens=new)


def _scores(s: Setup, name: str, rule: str, generation: Generation, made: Artefact) -> Step:
    if (problems := s.problem_rows(generation.problems)) is None:
        return Step(name, (rule,), "-", made.path, made.benchmark)
    asked = problems * generation.settings["num_samples"]
    return Step(
        name,
        (rule,),
        "-",
        made.path,
        made.benchmark,
        host_bytes=SCORE_HOST_BYTES,
        disk_bytes=asked * SCORE_BYTES,
        seconds=START_SECONDS + asked / SCORED_PER_SECOND,
    )
