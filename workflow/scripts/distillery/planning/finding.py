"""One thing that a plan found wrong or doubtful, the line it is printed as, and the ids of all that can be found.

    yield error("min-lr", s.keys("train.min_lr", "train.lr"), "0.1 above 0.01", "at most lr", "lower min_lr")

config/README.md lists the ids, made from here by plan_config_reference.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Severity = Literal["error", "warning", "accepted"]
ORDER = ("error", "warning", "accepted")
# each id, and in one line what it says: `accept` takes these names
SECTIONS = {
    "the configuration": {
        "no-effect": "a setting that changes nothing, with the reason",
        "accept": "`accept` names no check, or an error, which cannot be accepted",
    },
    "layouts and devices": {
        "devices": "the devices do not hold the layout a whole number of times",
        "npus-per-node": "a stage wants more devices of a node than the machine has",
        "layout-change": "weights change their layout on the way, which takes a reshard step",
        "tensor-split": "heads, widths or vocabulary do not divide by the tensor size",
        "layer-list": "num_layer_list does not fit the stages or the model",
        "layer-split": "layers do not divide by the pipeline size",
        "sequence-parallel": "sequence parallelism without tensor ranks that divide the sequence",
        "context-parallel": "context parallelism with a length that cannot be cut, or that varies",
        "node-rank": "a node number beyond the number of nodes",
        "master-address": "several nodes, and an address that only one of them reaches",
        "master-port": "a port that msrun does not take",
        "tensor-across-nodes": "tensor ranks in several nodes, whose links are slow",
    },
    "batches and steps": {
        "batch-split": "the batch is no whole number of micro-batches on each replica",
        "pipeline-bubble": "fewer micro-batches than pipeline stages",
        "epochs": "training sees the rows very often, or hardly",
        "few-rows": "fewer rows than one batch",
        "warmup": "a warm-up of less than a step",
        "min-lr": "the rate's minimum is above the rate",
        "learning-rate": "a rate far from the published recipe for this dataset",
        "one-checkpoint": "no checkpoint before the end",
        "not-resumable": "checkpoints without the optimizer's state",
        "start-flags": "flags for starting and saving that have no effect: a start reads what is there",
    },
    "the model": {
        "unknown-model": "a model whose config.json is not recorded: most checks wait for the file",
        "model-sizes": "sizes of a model that do not fit together, or a config.json that cannot be used",
        "rope-base": "another rotary base than config.json's, not declared",
        "rope-context": "another context than config.json's, not declared",
        "rope-scaled": "a rotary override on top of the model's own scaling",
        "rope-agreement": "training and answers with different rotary settings",
        "context": "sequences longer than the model's context",
        "base-context": "the original weights asked beyond their context",
        "dtype": "weights in another type than they were published in",
        "dtype-cpu": "a type that the CPU back end does not multiply",
        "engine-device": "MindSpeed-LLM without an NPU",
        "engine-option": "options that the built-in engine lacks",
        "vocabulary": "token ids without a row in the embedding",
    },
    "data and templates": {
        "prompt-type": "data, training and answers with different templates",
        "prompt-type-name": "no such template",
        "template-markers": "markers of the template that are not single tokens of the model",
        "stop-token": "answers stop at another token than training ends them with",
        "no-end-token": "a template that ends answers with no token",
        "system-prompt": "another system prompt than the model was taught with",
        "map-keys": "a mapping that the handler does not know",
        "neat-pack": "neat_pack without pack",
        "pack-length": "packing without a length to fill",
        "pack-variable": "packed rows of variable length",
        "pack-positions": "packed rows whose positions run on",
        "pack-resets": "packed rows whose positions start anew inside a row",
        "tokenize-length": "rows longer than training takes, which lose their end token",
        "short-rows": "rows shorter than training pads them to",
        "some-shards": "only some of a dataset's shards",
        "taught-problems": "problems that a teacher is asked and the student is scored with",
        "teacher-shards": "more shards than problems that a teacher may be asked",
        "teacher-budget": "a teacher's budget that may end before its problems do",
    },
    "answers": {
        "answer-length": "no room for a prompt beside the answer",
        "learnt-problems": "problems that are rows of the training data, and are learnt",
        "answer-budget": "answers far shorter than the training rows",
        "tokens-to-oom": "more tokens than MindSpeed-LLM allows in a batch",
        "beam-answers": "more answers than beams",
        "beams-unused": "settings of beams without a beam search",
        "greedy-sampling": "sampling settings of a task that draws nothing",
        "greedy-samples": "several greedy answers, all equal",
        "no-task": "no task for the answers",
        "chat-task": "a task that waits for someone to type",
        "two-templates": "two ways to render prompts",
        "no-kv-cache": "no cache: the work grows with the square of the answer",
        "served-task": "a task that no server is asked for",
        "served-top-k": "a limit of tokens to draw from that a server of no known kind does not take",
        "served-base": "original and tuned weights answered by two engines",
        "server-key": "a key that travels without encryption",
        "rounded-weights": "rounded weights that whoever answers does not know",
        "lossy-weights": "answers of weights that were rounded",
    },
    "machines and launches": {
        "device-memory": "training does not fit a device",
        "device-unknown": "a device of unknown memory: nothing says whether training fits",
    },
    "this machine": {
        "absent-source": "a folder, file or lock that a source names, and that is not there",
        "server-away": "a server that does not answer now",
        "npu-limit": "a job wants more devices than Snakemake's --resources npu= allows",
        "disk": "less free disk than the plan writes",
        "host-memory": "a job larger than the machine's memory",
        "visible-npus": "fewer devices visible than a stage wants",
    },
    "MindSpeed-LLM": {
        "mindspeed-home": "its engine is asked for, and no installation is named",
        "set-env": "a script that clones again, sourced at every start",
        "mindspeed-flag": "a flag that its parser rejects",
        "mindspeed-value": "values that its validation rejects together",
        "mindspeed-reader": "rows that its reader cannot take as they are meant",
        "mindspeed-pack": "packed data whose rows cannot be counted",
    },
    "fetched files": {
        "recorded-config": "config.json is not the one that was recorded",
        "recorded-tokenizer": "the tokenizer is not the one that was recorded",
        "markers": "markers of the template that are several tokens",
        "new-tokens": "tokens of the template that the vocabulary lacks",
        "stop-ids": "answers stop at other ids than training ends them with",
        "pad-end": "padding and end are one token, and labels lose it",
        "own-template": "the model's own chat template cannot be read or run",
        "chat-template": "prompts unlike the model's own chat template",
        "columns": "columns that the shards lack",
        "rows": "rows that are no conversations",
        "cut-answers": "rows that lose their end in training",
        "overlong-rows": "many rows too long for training",
        "open-think": "thoughts that are never closed",
        "unboxed": "answers without a box for the result",
        "prompt-length": "prompts that leave no room for the answer",
        "golds": "gold answers that cannot be read",
        "contamination": "problems that occur in the training data",
    },
    "imported scripts": {
        "script-missing": "a stage that no script is about",
        "script-twice": "several lines for one stage, of which one is imported",
        "script-program": "a program that MindSpeed-LLM does not have",
        "script-training": "another training than supervised fine-tuning of all weights",
        "script-value": "a value that only the running shell knows, or that no key takes",
        "script-branch": "lines whose turn only the running shell knows",
        "script-syntax": "text that bash takes for something else",
        "flag-twice": "one flag with two values",
        "model-flags": "sizes or switches that are not the model's",
        "framework-agreement": "scripts of MindSpeed-LLM's two back ends, or a launcher of the other one",
        "dtype-agreement": "weights converted, trained, asked or exported in different types",
        "length-agreement": "answers in another length than training",
        "pack-agreement": "packed rows of which data and training do not both know",
        "path-agreement": "a stage that reads another path than the one before has written",
        "virtual-pipeline": "virtual pipeline stages, for which no weights are converted",
        "world-size": "workers that are no whole number of nodes",
        "shard-name": "rows in files that our datasets do not have",
        "msrun-join": "a launch whose end says nothing of its workers",
        "tee-status": "a pipe to tee, which hides the exit status",
        "log-folder": "a log in a folder that nobody makes",
    },
}
MEANINGS = {name: meaning for section in SECTIONS.values() for name, meaning in section.items()}


@dataclass(frozen=True)
class Finding:
    """A contradiction between configuration keys, or between a key and a fact.

    Attributes:
        id: names the check, one of MEANINGS; `accept` lists such names.
        keys: dotted paths into the configuration, all of those involved.
        found, expected: the values as they are, and as they would be right.
        fix: the edit that cures it.
        severity: errors stop; warnings inform; accepted warnings are named in `accept`.
        experiments: whose it is. Two experiments that share a line share a finding.
    """

    id: str
    keys: tuple[str, ...]
    found: str
    expected: str
    fix: str
    severity: Severity = "error"
    experiments: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        assert self.id in MEANINGS, f"{self.id} is not in MEANINGS"

    def __str__(self) -> str:
        """`error[ID] key, key: found, expected; fix`, one line."""
        return f"{self.severity}[{self.id}] {', '.join(self.keys)}: {self.found}, expected {self.expected}; {self.fix}"


def error(id: str, keys: Sequence[str], found: str, expected: str, fix: str) -> Finding:
    """A contradiction that stops the plan."""
    return Finding(id, tuple(keys), found, expected, fix)


def warning(id: str, keys: Sequence[str], found: str, expected: str, fix: str) -> Finding:
    """Something doubtful, which `accept` may name."""
    return Finding(id, tuple(keys), found, expected, fix, "warning")


def collect(found: Iterable[tuple[str, Iterable[str], Iterable[Finding]]]) -> list[Finding]:
    """What was found in each experiment, in its name and with what it accepts: the one way from checks to a plan.

    Args:
        found: an experiment's name, the ids of warnings that it accepts (errors stay errors), and what its checks found.
    """
    return merge(
        replace(
            one,
            severity="accepted" if one.severity == "warning" and one.id in accepted else one.severity,
            experiments=(name,),
        )
        for name, accepted, findings in found
        for one in findings
    )


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """Errors before warnings before accepted ones, and a line that several experiments share once, with all their names."""
    shared: dict[Finding, tuple[str, ...]] = {}
    for one in findings:
        shared[one] = tuple(dict.fromkeys((*shared.get(one, ()), *one.experiments)))
    merged = (replace(one, experiments=names) for one, names in shared.items())
    return sorted(merged, key=lambda one: ORDER.index(one.severity))
