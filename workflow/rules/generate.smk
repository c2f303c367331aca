"""Answer the problem set with the original and with the tuned weights, under the same settings.

Outputs: results/generations/{model}/{generation}.jsonl (shared by all experiments that ask the same of a model)
and results/experiments/{experiment}/tuned.jsonl.
"""


rule answer_base:
    input:
        model="resources/models/{model}/manifest.json",
        problems=lambda w: artefacts.problems(GENERATIONS[w.generation].problems),
    output:
        "results/generations/{model}/{generation}.jsonl",
    log:
        "logs/generations/{model}/{generation}.log",
    benchmark:
        "logs/generations/{model}/{generation}.tsv"
    wildcard_constraints:
        generation=either(GENERATIONS),
    conda:
        "../../envs/cpu.yaml"
    threads: lambda w: GENERATIONS[w.generation].threads
    resources:
        **devices("answering", lambda w: ASKERS[w.generation]),
    params:
        **runs("inference", TEMPLATES, KERNELS),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.generation(GENERATIONS[w.generation]),
    shell:
        "{resources.launch}{params.command} --load {params.model} --tokenizer-name-or-path {params.model}"
        " --prompt-file {input.problems} {params.flags} --output {output} --log {log}"


rule answer_tuned:
    input:
        model="results/experiments/{experiment}/hf/manifest.json",
        problems=lambda w: artefacts.problems(EXPERIMENTS[w.experiment].problems),
    output:
        "results/experiments/{experiment}/tuned.jsonl",
    log:
        "logs/{experiment}/generate_tuned.log",
    benchmark:
        "logs/{experiment}/generate_tuned.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: lambda w: EXPERIMENTS[w.experiment].hardware.threads
    resources:
        **devices("answering"),
    params:
        **runs("inference", TEMPLATES, KERNELS),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.generation(EXPERIMENTS[w.experiment].generation),
    shell:
        "{resources.launch}{params.command} --load {params.model} --tokenizer-name-or-path {params.model}"
        " --prompt-file {input.problems} {params.flags} --output {output} --log {log}"
