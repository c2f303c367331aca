"""What every rule file uses: the checked configuration, and the commands' home.

A rule's command line is built from the configuration leaves it reads and from nothing else, so that its
`params` change exactly when its result may. `code(...)` in `params` does the same for the code it runs.
"""

import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# the library lies beside the commands; no install, no PYTHONPATH
sys.path.insert(0, str(Path(workflow.current_basedir).parent / "scripts"))

from distillery import config as configuration
from distillery.problems import Problem
from distillery.provenance import SCRIPTS as LIBRARY
from distillery.provenance import canonical, code, digest

try:
    CONFIG = configuration.load(config)
except Problem as problem:
    raise WorkflowError(str(problem))

EXPERIMENTS = CONFIG.experiments


def shortest(path):
    """Relative to the working directory where that is below it, so that printed commands are portable."""
    path, here = Path(path), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


PYTHON = shortest(sys.executable)
SCRIPTS = shortest(LIBRARY)


def of_kind(kind, sources):
    """A wildcard constraint: the names whose source is of this kind, or a pattern that matches nothing."""
    names = [name for name, one in sources.items() if getattr(one, "source", one).kind == kind]
    return "|".join(map(re.escape, names)) or "(?!)"


def flags(settings):
    """`{"train_iters": 9, "bf16": True}` as `--train-iters 9 --bf16`."""
    words = []
    for key, value in settings.items():
        words.append("--" + key.replace("_", "-"))
        if value is not True:
            words.append(canonical(value) if isinstance(value, dict) else str(value))
    return shlex.join(words)


def rules_digest():
    """Identity of the rule files: what the picture of the workflow depends on."""
    return digest([path.read_text() for path in sorted(Path(workflow.current_basedir).glob("*.smk"))])[:16]


REPORT_TEMPLATES = sorted(path.name for path in (LIBRARY.parent / "report").glob("*.j2"))


wildcard_constraints:
    model="[^/]+",
    dataset="[^/]+",
    experiment="[^/]+",
    layout="[^/]+",
    target="[^/]+",
    tokenization="[^/]+",
    generation="[^/]+",
    problems="[^/]+",
    shard=r"train-\d+-of-\d+",
