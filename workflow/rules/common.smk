"""The checked configuration and the home of the commands, for all other files here.

A rule's command line is built from the configuration leaves it reads and from nothing else, so that its
`params` change exactly when its result may. `code(...)` in `params` does the same for the code it runs.
Params are words or lists of words, and `:q` quotes each where it stands in a line; resources must be text: those that
stand in a line were quoted where they were made.
"""

import atexit
import gc
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# a plan of a thousand shards is made of objects that stay: to look them through for cycles takes a tenth of its time
gc.set_threshold(1_000_000)
# and at its end, to find the cycles among all that Snakemake imported and to take them apart took a seventh: the process goes
atexit.register(gc.freeze)

# the library lies beside the commands; no install, no PYTHONPATH
if getattr(workflow.modifier.path_modifier, "prefix", None):
    raise WorkflowError(
        "prefix: would put files elsewhere than the rules look for what was deleted or decided by hand\n"
        "  fix:    leave prefix: out, and start Snakemake with --directory where results belong"
    )
sys.path.insert(0, str(Path(workflow.current_basedir).parent / "scripts"))

from distillery import (
    artefacts,
    config_file,
    files,
    former_run,
    schema,
    set_artefacts,
    shard_files,
    snakemake_options,
    source_files,
    stage_inputs,
    stated_sources,
    teachers,
)
from distillery import config as configuration
from distillery.fetch import source_flags
from distillery.launch import commandline, prefix, run_view, server_line
from distillery.planning import checks, estimate, fetched_settings, finding
from distillery.planning.checks import machine_checks
from distillery.problems import Problem, of_system
from distillery.terminal_text import printable
from distillery.provenance import SCRIPTS, canonical, code, rules
from distillery.verify import presence, standing

try:
    if workflow.is_main_process:
        run_view.install(workflow, sys.argv)
        former_run.record(sys.argv)
        snakemake_options.refuse_repeated(sys.argv)
        # Snakemake reads the files itself, and takes the last of two equal keys
        for path in workflow.configfiles:
            config_file.read(Path(path))
    CONFIG = configuration.load(snakemake_options.typed(config, workflow.config_settings.config))
except Problem as problem:
    raise WorkflowError(printable(str(problem)))
except OSError as error:
    raise WorkflowError(printable(str(of_system(error))))

FINDINGS = checks.run(CONFIG)
if workflow.is_main_process:
    NPUS = workflow.global_resources["npu"].value if "npu" in workflow.global_resources else None
    SHOWN = finding.merge([*FINDINGS, *([] if NPUS is None else machine_checks.granted(CONFIG, NPUS))])
    sys.stderr.writelines(f"{printable(str(one))}\n" for one in SHOWN if one.severity != "accepted")
    ERRORS = sum(one.severity == "error" for one in SHOWN)
    if ERRORS and not {"--unlock", "--lint"}.intersection(sys.argv):
        raise WorkflowError(f"the plan has {ERRORS} errors, listed above; no job was started")

# words by which another Snakemake, and a command to paste, get this configuration
CONFIGURED = snakemake_options.words(workflow.configfiles, workflow.config_settings.config)

# what of a product was deleted by hand: Snakemake sees its manifest only. Fetched files are named and not forced: nobody
# misses them until a job needs them, and everything would follow from them
GONE = presence.of(CONFIG) if workflow.is_main_process else []
sys.stderr.write(presence.said(GONE, CONFIGURED))

EXPERIMENTS = CONFIG.experiments
TOKENIZATIONS = {part.tokenize.name: part.tokenize for e in EXPERIMENTS.values() for part in e.parts}
LAYOUTS = {
    one.name: one
    for e in EXPERIMENTS.values()
    for one in (e.convert.layout, e.train.layout, e.generate.layout)
}
WHO_ASKS = [
    (one, e) for e in EXPERIMENTS.values() for asked in e.asked.values() for one in (asked.tuned, asked.base)
]
GENERATIONS = {one.name: one for one, _ in WHO_ASKS}
ROTATED = {artefacts.rotated(e): e for e in EXPERIMENTS.values() if artefacts.rotated(e) != e.model}
# experiments that need the same share it, and the machine of one of them
TOKENIZERS = {part.tokenize.name: e for e in EXPERIMENTS.values() for part in e.parts}
CONVERTED = {e.convert.name: e for e in EXPERIMENTS.values()}
ASKERS = {one.name: e for one, e in WHO_ASKS}
TUNED = {name: one.tuned_generation for name, one in EXPERIMENTS.items()}
WHEELS = source_flags.wheels(CONFIG)
KINDS = {one.source.kind for one in CONFIG.datasets.values()}
LOCKED = source_flags.locked(CONFIG)
# of jobs that could begin: what finds faults, then what training waits for, since nothing takes as long; base answers, cards
# and proofs find room beside it
FINDS_FAULTS, BEFORE_TRAINING = 10, 5

CONDA = "conda" in {one.name.lower() for one in workflow.deployment_settings.deployment_method}


def python(script):
    """The words that begin a command's line."""
    # that of the job's environment, where there is one; PATH says which
    own = "python" if CONDA else files.from_here(Path(sys.prefix, "bin", "python"))
    return [own, f"{files.from_here(SCRIPTS)}/{script}.py"]


def runs(script, *data):
    """Params for a job of a command, the words that begin its line and the identity of its code.

    `data` are patterns below the library of files that the code reads as if they were part of it.
    """
    words = python(script)
    braces = any("{" in word for word in words)
    return {
        # of a function where Snakemake would look for wildcards in the path of this clone; it calls functions job by job
        "command": (lambda w: words) if braces else words,
        "code": code(script, data=data),
    }


def environment(name):
    """The file of a job's packages; Snakemake looks for fields in its path, and braces in that of this clone are none."""
    return str(SCRIPTS.parents[1] / "envs" / f"{name}.yaml").replace("{", "{{").replace("}", "}}")


def goal(files):
    """Input of a goal that is asked for: these files, and those that it needs of which something was deleted are made again."""

    def asked(wildcards):
        workflow.dag.forcefiles.update(str(one.product.path) for one in GONE if not one.product.below)
        return files

    return asked


TEMPLATES = "tokenize/templates.json"
PAGE_TEMPLATES = "../../report/*"
KERNELS = "engine/*.[ch]*"


def outside(path):
    """A file of this machine as input; none where Snakemake would take braces in its name for a wildcard."""
    return [] if "{" in path else [path]


def stamp(path):
    """A param that changes with a file which `outside` cannot name; empty for all others."""
    return "" if outside(path) else changed(path)


def changed(path):
    """A param that changes whenever a file does, also to an older one."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise WorkflowError(f"no such file: {path}") from error
    return f"{found.st_size} bytes at {found.st_mtime_ns}"


def problem_files(w):
    """What a problem set is imported from: files of this machine, the wheel, or the manifest of what was fetched."""
    source = CONFIG.problem_sets[w.problems].source
    if source.kind == "path":
        return [path for file in source_flags.problem_paths(source) for path in outside(file)]
    if source.kind == "wheel":
        return [ancient(artefacts.wheel(source.settings))]
    return [artefacts.PROBLEM_FILES.at(problems=w.problems)]


def datasets_of(experiment):
    """The datasets that an experiment learns from."""
    return [CONFIG.datasets[part.dataset] for part in EXPERIMENTS[experiment].parts]


def asked(w):
    """The problem set that a job of an experiment is about: the first, where no wildcard names another."""
    return w.get("problems", EXPERIMENTS[w.experiment].problems)


def of_set(artefact):
    """An input function: an experiment's own artefact of the problem set that the job is about."""
    return lambda w: set_artefacts.of_set(artefact, EXPERIMENTS[w.experiment], asked(w)).path


def further_sets(artefact):
    """An input function: the artefact of each further problem set."""
    return lambda w: list(set_artefacts.of_further_sets(artefact, EXPERIMENTS[w.experiment]).values())


def siblings_scores(w):
    """Tuned scores of all of a sweep that were asked the job's problem set, by the experiment."""
    return set_artefacts.sweep_scores(CONFIG, EXPERIMENTS[w.experiment], asked(w))


def drawn_parts(e):
    """What decides which rules lead to an experiment's report, beside the rules themselves."""
    kinds = [CONFIG.models[e.model].kind, *(one.source.kind for one in datasets_of(e.name))]
    kinds += [CONFIG.problem_sets[one].source.kind for one in e.asked]
    layouts = [e.convert.layout.name, e.train.layout.name, e.generate.layout.name]
    served = [bool(one.server) for asked in e.asked.values() for one in (asked.tuned, asked.base)]
    return [e.engines, kinds, layouts, served, artefacts.rotated(e) == e.model, "select" in e.settings]


def run_by(engine, stage, artefact=lambda e: e.name):
    """A wildcard constraint: the names of what experiments need where this engine runs that stage of theirs."""
    return either(artefact(e) for e in EXPERIMENTS.values() if e.engines[stage] == engine)


def tokenized_by(engine):
    """A wildcard constraint: the tokenizations that this engine makes."""
    return either(name for name, one in TOKENIZATIONS.items() if one.engine == engine)


def of_kind(sources, *kinds):
    """A wildcard constraint: the names whose source is of these kinds, or a pattern that matches nothing."""
    return either(name for name, one in sources.items() if getattr(one, "source", one).kind in kinds)


def either(names):
    """A wildcard constraint: one of these names."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    model="[^/]+",
    dataset="[^/]+",
    experiment="[^/]+",
    layout="[^/]+",
    target="[^/]+",
    tokenization="[^/]+",
    generation="[^/]+",
    problems="[^/]+",
    shard=source_files.A_NAME,
    batch="[^/]+",
