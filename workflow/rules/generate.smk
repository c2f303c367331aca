"""Answer the problem set with the original and with the tuned weights, under the same settings.

Outputs: results/generations/{model}/{generation}.jsonl (shared by all experiments that ask the same of a model)
and results/experiments/{experiment}/tuned.jsonl.
"""

GENERATIONS = {e.generation.name: e.generation for e in EXPERIMENTS.values()}


def base_answers(experiment):
    e = EXPERIMENTS[experiment]
    return f"results/generations/{e.model}/{e.generation.name}"


def generation_flags(generation):
    return flags(
        {
            "prompt_type": generation.prompt_type,
            "seq_length": generation.seq_length,
            **generation.settings,
            "threads": generation.threads,
        }
    )


rule answer_base:
    input:
        model="resources/models/{model}/manifest.json",
        problems=lambda w: f"resources/problems/{GENERATIONS[w.generation].problems}.parquet",
    output:
        "results/generations/{model}/{generation}.jsonl",
    log:
        "logs/generations/{model}/{generation}.log",
    benchmark:
        "benchmarks/results/generations/{model}/{generation}.tsv"
    wildcard_constraints:
        generation="|".join(map(re.escape, GENERATIONS)),
    threads: lambda w: GENERATIONS[w.generation].threads
    params:
        model=subpath(input.model, parent=True),
        flags=lambda w: generation_flags(GENERATIONS[w.generation]),
        code=code("inference"),
    shell:
        "{PYTHON} {SCRIPTS}/inference.py --load {params.model} --tokenizer-name-or-path {params.model}"
        " --prompt-file {input.problems} {params.flags} --output {output} --log {log}"


rule answer_tuned:
    input:
        model="results/experiments/{experiment}/hf/manifest.json",
        problems=lambda w: f"resources/problems/{EXPERIMENTS[w.experiment].problems}.parquet",
    output:
        "results/experiments/{experiment}/tuned.jsonl",
    log:
        "logs/{experiment}/generate_tuned.log",
    benchmark:
        "benchmarks/results/{experiment}/generate_tuned.tsv"
    threads: lambda w: EXPERIMENTS[w.experiment].hardware.threads
    params:
        model=subpath(input.model, parent=True),
        flags=lambda w: generation_flags(EXPERIMENTS[w.experiment].generation),
        code=code("inference"),
    shell:
        "{PYTHON} {SCRIPTS}/inference.py --load {params.model} --tokenizer-name-or-path {params.model}"
        " --prompt-file {input.problems} {params.flags} --output {output} --log {log}"
