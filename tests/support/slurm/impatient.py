"""`python -m snakemake` whose Slurm plugin does not wait to spare a busy cluster.

It sleeps for five seconds before each submission, and after each look at which no job had ended ten seconds longer than
before; no setting of it changes either. What it submits, asks and concludes stays its own.
"""

import time
from types import SimpleNamespace

import snakemake_executor_plugin_slurm as plugin
from snakemake.cli import main

SECONDS = 1

plugin.time = SimpleNamespace(**(vars(time) | {"sleep": lambda seconds: time.sleep(min(seconds, 0.1))}))
plugin.Executor.next_seconds_between_status_checks = property(lambda executor: SECONDS, lambda *_: None)

if __name__ == "__main__":
    main()
