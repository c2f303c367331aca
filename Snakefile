"""DeepSeek-R1 distillation, from hub files to a scored report.

snakemake --cores all                                        the embedded experiment, on a CPU
snakemake --cores all --configfile config/smollm2-135m.yaml  another one
snakemake -n -p                                              its exact commands, none of them run
"""

import inspect
import os

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")

# gitfile() and github() of a module fetch single files
if not os.path.isdir(os.path.join(str(workflow.current_basedir), "workflow/scripts")):
    raise WorkflowError(
        "the rules came without the commands that they start\n"
        f"  found:  no workflow/scripts beside {workflow.current_basedir}\n"
        '  fix:    git clone the repository, and write snakefile: "CLONE/workflow/Snakefile"'
    )

# given here unconditionally, the default would be merged into any --configfile. With --directory it is that of the
# directory, or the one beside this file
if not workflow.configfiles:
    default = "config/config.yaml"
    if not os.path.exists(default):
        default = os.path.join(str(workflow.current_basedir), default)

    configfile: default


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"


rule all:
    default_target: True
    input:
        # not the reports alone: a result that was deleted is made again
        goal(standing.results(CONFIG)),


include: "workflow/rules/fetch.smk"
include: "workflow/rules/fetch_models.smk"
include: "workflow/rules/fetch_datasets.smk"
include: "workflow/rules/fetch_problems.smk"
include: "workflow/rules/tokenize.smk"
include: "workflow/rules/convert.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/generate.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/plan.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"
include: "workflow/rules/targets.smk"


# what few configurations ask for: to read these files, too, is a thirtieth of a plan's time
if any(one.selection for one in TOKENIZATIONS.values()):

    include: "workflow/rules/select.smk"


if any(one.server for one in GENERATIONS.values()):

    include: "workflow/rules/serving.smk"


if teachers.KIND in KINDS:

    include: "workflow/rules/teacher.smk"


if any("mindspeed-llm" in one.engines.values() for one in EXPERIMENTS.values()):

    include: "workflow/rules/mindspeed.smk"


# Snakemake asks three times a job what a param's function takes: to find it anew each time is a twentieth of a plan's time
for function in (value for one in workflow.rules for value in one.params):
    if inspect.isfunction(function):
        function.__signature__ = inspect.signature(function)
