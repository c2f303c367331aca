"""What answers and their scores take. Upper bounds: no answer ends early."""

from __future__ import annotations

from distillery import artefacts, set_artefacts
from distillery.artefacts import Artefact
from distillery.experiment import Generation
from distillery.launch import prefix
from distillery.planning import device_facts, memory
from distillery.planning.experiment_setup import Setup
from distillery.planning.plan_step import START_SECONDS, Step
from distillery.planning.stage_costs import RUNTIME_BYTES

CACHED_BYTES = 4  # of a key or value: the engine keeps them in fp32, whatever the weights are
STEP_SECONDS = 1e-3  # measured: Python and a graph's start, per step of generation
ANSWER_BYTES_PER_TOKEN = 10  # measured: text and ids as JSON
SCORE_BYTES, SCORE_HOST_BYTES = 250, 0.26e9  # measured: of a line; of the process with sympy
SCORED_PER_SECOND = 250  # measured: 400 answers in 2 CPU s, start-up included


def steps(s: Setup) -> tuple[Step, ...]:
    """Answers of the original and of the tuned weights by the built-in engine, and their scores.

    MindSpeed-LLM's answer to its own question, where it is asked, takes the same devices; how long is not known.
    """
    e = s.experiment
    found = []
    for problems, asked in e.asked.items():
        own = problems == e.problems
        of = "" if own else f" {problems}"
        base, base_scores = artefacts.base_answers(e, problems), artefacts.base_scores(e, problems)
        tuned, scores = (
            set_artefacts.of_set(one, e, problems)
            for one in (artefacts.TUNED_ANSWERS, artefacts.TUNED_SCORES)
        )
        rules = (
            "generate_tuned_answers" if own else "generate_set_answers",
            "evaluate_tuned" if own else "evaluate_set",
        )
        found += [
            _answers(s, f"generate base{of}", "generate_base_answers", asked.base, base),
            _scores(s, f"evaluate base{of}", "evaluate_base", asked.base, base_scores),
            _answers(s, f"generate tuned{of}", rules[0], asked.tuned, tuned),
            _scores(s, f"evaluate tuned{of}", rules[1], asked.tuned, scores),
        ]
    if artefacts.mindspeed_answer(e):
        rules = ("generate_mindspeed_answer",)
        found.append(
            Step("generate built-in question", rules, "mindspeed-llm", devices=s.model_parallel(e.generate))
        )
    return tuple(found)


def _answers(s: Setup, name: str, rule: str, generation: Generation, made: Artefact) -> Step:
    """Of one model; the step makes `made`.

    A step of generation reads each tensor rank's share of all weights, stage after stage, and multiplies them with a
    token of every sequence: it takes the longer of the two, and its start. Prompts come on top, in large pieces. Copies
    of the model that fill the node share the problems.
    """
    layout, settings, model = s.experiment.generate.layout, generation.settings, s.architecture
    devices, problems = prefix.workers(s.experiment, "generate"), s.problem_rows(generation.problems)
    if problems is None or model is None:
        return Step(name, (rule,), "mindspore", made.path, made.benchmark, devices)
    tensor = layout.tensor_parallel_size
    asked = problems * settings["num_samples"]
    replicas = devices // s.model_parallel(s.experiment.generate)
    of_one = -(-asked // replicas)  # the copy with the most prompts
    sequences = min(settings["micro_batch_size"], of_one)
    new = asked * settings["max_new_tokens"]
    hardware = s.experiment.hardware
    bandwidth, peak = device_facts.bandwidth_tbs(hardware), device_facts.peak_tflops(hardware)
    seconds = None
    if bandwidth and peak:
        reading = model.num_parameters * memory.WIDTH[layout.params_dtype] / tensor / (bandwidth * 1e12)
        multiplying = sequences * 2 * model.num_parameters / tensor / (peak * 1e12)
        seconds = of_one * settings["max_new_tokens"] / sequences * (max(reading, multiplying) + STEP_SECONDS)
    used = memory.generate(model, layout, sequences, generation.seq_length, CACHED_BYTES)
    process = RUNTIME_BYTES + used.total
    on_cpu = hardware.device == "CPU"
    return Step(
        name,
        (rule,),
        "mindspore",
        made.path,
        made.benchmark,
        devices,
        device_memory=used,
        # on a device the weights pass through, a tensor at a time
        host_bytes=devices * (process if on_cpu else RUNTIME_BYTES),
        peak_bytes=process if on_cpu else used.total,
        tokens=new,
        flops=new * 2 * model.num_parameters,
        disk_bytes=new * ANSWER_BYTES_PER_TOKEN,
        seconds=seconds,
    )


def _scores(s: Setup, name: str, rule: str, generation: Generation, made: Artefact) -> Step:
    problems = s.problem_rows(generation.problems)
    if problems is None:
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
