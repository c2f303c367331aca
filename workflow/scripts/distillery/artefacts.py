"""Where everything lies below resources/, results/ and logs/, relative to the working directory.

An artefact is a pattern with Snakemake's wildcards; rules are written with patterns, all else asks for places:

    TRAINED.path                          # 'results/experiments/{experiment}/train/done.json'
    TRAINED.log                           # 'logs/{experiment}/train.log'
    TRAINED.at(experiment="embedded")     # 'results/experiments/embedded/train/done.json'

Shared artefacts are named by what decides their content, so that experiments which agree share them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distillery import lineage, resource_samples
from distillery.derived_names import derived
from distillery.experiment import Experiment

JOINT = "+"  # between the names of problem sets: no name has it
WILDCARD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Artefact:
    """A file that a job makes, and what lies below logs/ of that job: its log, its benchmark, resource samples.

    A job that makes several files has one log: their `job` is the same.
    """

    path: str
    job: str

    @property
    def log(self) -> str:
        return f"logs/{self.job}.log"

    @property
    def benchmark(self) -> str:
        """Snakemake's table of the job's seconds and memory."""
        return f"logs/{self.job}.tsv"

    @property
    def samples(self) -> str:
        """They are no output of a rule, and may be missing."""
        return str(resource_samples.beside(Path(self.log)))

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    def of(self, **names: str) -> Artefact:
        """With these wildcards filled in; others stay."""
        return Artefact(_filled(self.path, names), _filled(self.job, names))

    def at(self, **names: str) -> str:
        """The path of `of`."""
        return _filled(self.path, names)

    @property
    def everywhere(self) -> Artefact:
        """As a pattern of a shell, which matches all there are."""
        return Artefact(WILDCARD.sub("*", self.path), WILDCARD.sub("*", self.job))


def _filled(pattern: str, names: Mapping[str, str]) -> str:
    return WILDCARD.sub(lambda match: names.get(match[1], match[0]), pattern)


def _shared(top: str, stem: str, ending: str) -> Artefact:
    """Whose logs lie as it does itself."""
    return Artefact(f"{top}/{stem}{ending}", stem)


# fetch; a Hugging Face directory lies around a model's manifest
LOCK = _shared("resources", "locks/{name}", ".json")
WHEEL = _shared("resources", "wheels/{wheel}", ".whl")
MODEL = _shared("resources", "models/{model}", "/manifest.json")
SHARD = _shared("resources", "datasets/{dataset}/{shard}", "")
DIGEST = Artefact("resources/datasets/{dataset}/{batch}.sha256", "datasets/{dataset}/{batch}.digest")
ROW_COUNT = _shared("resources", "datasets/{dataset}.rows", ".json")
HANDLER = _shared("resources", "datasets/{dataset}.handler", ".json")
PROBLEM_FILES = _shared("resources", "problems/{problems}.files", "/manifest.json")
PROBLEMS = _shared("resources", "problems/{problems}", ".parquet")

# what a teacher is asked, part by part, and what it answered; beside a shard, what became of its part's answers
TEACHER_QUESTIONS = _shared("results", "teachers/{teacher}/{index}-of-{total}.questions", ".parquet")
TEACHER_COUNTS = Artefact(f"{TEACHER_QUESTIONS.path}.json", TEACHER_QUESTIONS.job)
TEACHER_ANSWERS = _shared("results", "teachers/{teacher}/{index}-of-{total}", ".jsonl")
PASS_RATES = Artefact("resources/datasets/{dataset}.pass_rates/{shard}.json", "datasets/{dataset}/{shard}")

# tokenize; a prefix is the manifest's path without its ending
TOKENIZED_ENDING = "_manifest.json"
_TOKENIZED = "datasets/{dataset}/{tokenization}"
LEFT_OUT = _shared("results", "datasets/{dataset}/{selection}/left_out", ".jsonl")  # rows, by filters
SELECTION = Artefact(f"{LEFT_OUT.folder}/selection.json", LEFT_OUT.job)
KEPT_QUESTIONS = Artefact(
    f"{LEFT_OUT.folder}/questions.parquet", LEFT_OUT.job
)  # of what a mix's later rows may repeat
TOKENIZED_SHARD = _shared("results", f"{_TOKENIZED}/shards/{{batch}}", TOKENIZED_ENDING)
TOKENIZED = Artefact(f"results/{_TOKENIZED}/{{dataset}}{TOKENIZED_ENDING}", f"{_TOKENIZED}/merge")
QUALITY = _shared("results", f"{_TOKENIZED}/quality-{{problems}}-{{seq_length}}", ".json")

# convert
CHECKPOINT = _shared("results", "checkpoints/{model}/{converted}", "/manifest.json")
RESHARDED = CHECKPOINT.of(converted="{converted}-to-{target}")
CONVERSION_PROOF = _shared("results", "checkpoints/{model}/{converted}.proof", ".json")

# generate and evaluate with the original weights: experiments that ask the same of a model share both
OVERRULES = Artefact("config/overrules/{problems}.jsonl", "")  # written by hand
BASE_ANSWERS = _shared("results", "generations/{model}/{generation}", ".jsonl")
BASE_SCORES = _shared("results", "generations/{model}/{generation}.scores", ".jsonl")


def _own(path: str, job: str) -> Artefact:
    """An experiment's own."""
    return Artefact(f"results/experiments/{{experiment}}/{path}", f"{{experiment}}/{job}")


MIXED = _own(f"mix/mix{TOKENIZED_ENDING}", "tokenize_mix")  # of what MindSpeed-LLM trains on
CHECKS = _own("checks.json", "plan_sources")
TRAINED = _own("train/done.json", "train")
TRAINED_RESHARDED = _own("reshard-{layout}/manifest.json", "convert_reshard-{layout}")
EXPORTED = _own("hf/manifest.json", "convert_mcore_to_hf")
# what goes to a hub: the export's files under second names, and its card
UPLOAD = _own("upload/manifest.json", "report_page")
MODEL_CARD = _own("upload/README.md", "report_page")
EXPORT_PROOF = _own("hf.proof.json", "convert_prove_export")
TUNED_ANSWERS = _own("tuned.jsonl", "generate_tuned")
MINDSPEED_ANSWER = _own("mindspeed_answer.txt", "generate_mindspeed")
TUNED_SCORES = _own("tuned.scores.jsonl", "evaluate_tuned")
COMPARISON = _own("comparison.json", "evaluate_compare")
SUMMARY = _own("summary.json", "evaluate_compare")
PROVENANCE = _shared(
    "results", "provenance/{path}", ".json"
)  # what made each output, written at the end of a run
PAIR = _shared("results", "comparisons/{one}/{other}/{problems}", ".html")  # of any two, when it is asked for
OVERVIEW = _shared("results", "overview", ".html")  # of all experiments, where there are several
SWEEP = _own("sweep.json", "evaluate_sweep")
PLAN = _own("plan.json", "plan_outcome")
RULEGRAPH = _own("rulegraph.dot", "report_rulegraph")
REPORT = _own("report.html", "report_page")
REPORT_PART = _own("report/{part}", "report_page")


def wheel(settings: Mapping[str, Any]) -> str:
    """The wheel that a source with a `package` (name==version) comes from, told from others by its digest."""
    return WHEEL.at(wheel=f"{settings['package'].replace('==', '-')}-{settings['sha256'][:12]}")


def store(name: str) -> str:
    """Where fetched files of `datasets/NAME` or `problems/NAME` lie: what the rules make are links into it."""
    return f"resources/store/{name}"


def fetched_manifest(path: str) -> str:
    """What a fetched file's name, size and digest are, beside it."""
    return f"{path}.manifest.json"


def tokenized_shards(experiment: Experiment, batch: str) -> Artefact:
    """What a job tokenizes of an experiment's dataset: `batch` names its shards."""
    return TOKENIZED_SHARD.of(**_tokenization(experiment), batch=batch)


def tokenized(experiment: Experiment) -> Artefact:
    """An experiment's whole dataset, tokenized."""
    return TOKENIZED.of(**_tokenization(experiment))


def quality(experiment: Experiment) -> Artefact:
    """The quality card of an experiment's dataset, shared by those that train and ask the same."""
    length = str(experiment.train.seq_length)
    return QUALITY.of(**_tokenization(experiment), problems=JOINT.join(experiment.asked), seq_length=length)


def overrules(problems: str) -> list[str]:
    """A human's verdicts on answers to a problem set (`make audit`): its file, if there is one."""
    path = OVERRULES.at(problems=problems)
    return [path] if Path(path).is_file() else []


def quality_problems(problems: str) -> list[str]:
    """The problem sets of the wildcard that `quality` filled."""
    return [PROBLEMS.at(problems=one) for one in problems.split(JOINT)]


def _tokenization(experiment: Experiment) -> dict[str, str]:
    return {"dataset": experiment.dataset, "tokenization": experiment.tokenize.name}


def rotated(experiment: Experiment) -> str:
    """The name of the model that is trained: of its own where training has other rotary settings than config.json."""
    return derived(experiment.model, experiment.train.rope.settings)


def model(name: str) -> str:
    """The manifest of a Hugging Face directory: one that was fetched, or the export of an experiment that ends a stage."""
    before = lineage.origin(name)
    return MODEL.at(model=name) if before is None else EXPORTED.at(experiment=before)


def rotated_model(experiment: Experiment) -> str:
    """The manifest of the Hugging Face model that an experiment starts from, its weights rotated where it asks for that."""
    return model(rotated(experiment))


def converted(experiment: Experiment) -> Artefact:
    """The MCore checkpoint of that model, in the layout of the conversion."""
    return CHECKPOINT.of(model=rotated(experiment), converted=experiment.convert.name)


def weights(experiment: Experiment) -> Artefact:
    """The MCore checkpoint that training starts from: resharded where its layout differs."""
    if experiment.train.layout == experiment.convert.layout:
        return converted(experiment)
    names = {"converted": experiment.convert.name, "target": experiment.train.layout.name}
    return RESHARDED.of(model=rotated(experiment), **names)


def conversion_proof(experiment: Experiment) -> Artefact:
    """What the way there and back of that conversion showed."""
    return CONVERSION_PROOF.of(model=rotated(experiment), converted=experiment.convert.name)


def tuned_weights(experiment: Experiment) -> Artefact:
    """What the tuned model answers with: training's checkpoint, resharded where answers have another layout."""
    if experiment.generate.layout == experiment.train.layout:
        return TRAINED.of(experiment=experiment.name)
    return TRAINED_RESHARDED.of(experiment=experiment.name, layout=experiment.generate.layout.name)


def base_answers(experiment: Experiment, problems: str) -> Artefact:
    """The answers of the model before training, shared by experiments that ask it the same."""
    return BASE_ANSWERS.of(model=experiment.model, generation=experiment.asked[problems].base.name)


def base_scores(experiment: Experiment, problems: str) -> Artefact:
    """The verdicts on those answers."""
    return BASE_SCORES.of(model=experiment.model, generation=experiment.asked[problems].base.name)


def mindspeed_answer(experiment: Experiment) -> list[str]:
    """What MindSpeed-LLM says to its own question with the tuned weights, where it is asked at all."""
    asked = experiment.generate.engine == "mindspeed-llm"
    return [MINDSPEED_ANSWER.at(experiment=experiment.name)] if asked else []
