"""The library behind Distillery's commands: importable and testable without Snakemake."""

import sys
from importlib.util import find_spec

# what flags need before a command can say anything; the rest is told by `command` when it is missed
if sys.version_info < (3, 11) or find_spec("yaml") is None:
    from distillery.interpreter import of_interpreter

    sys.exit(f"{sys.argv[0]}: error: {of_interpreter(ModuleNotFoundError(name='yaml'))}")
