"""Bring the shards of datasets to this machine, each from its source.

Outputs: resources/datasets/{dataset}/{shard} with its .sha256; {dataset}.rows.json where a count is promised, and
{dataset}.handler.json where the handler is to be recognised.
"""

# of datasets that are made here; those of hubs are named there
NUMBERED_SHARD_NAME = "train-{index}-of-{total}.parquet"
NUMBERED_SHARD = artefacts.SHARD.of(shard=NUMBERED_SHARD_NAME)

# Snakemake would try the rules of other kinds for each of a thousand files: a fortieth of a plan's time
if "generator" in KINDS:

    include: "fetch_generated_shard.smk"


if "wheel" in KINDS:

    include: "fetch_solution_shard.smk"


if KINDS & {"hub", "url"}:

    include: "fetch_shard.smk"


if "path" in KINDS:

    include: "fetch_path_shard.smk"


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
    priority: BEFORE_TRAINING
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
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_count_rows"),
        rows=lambda w: CONFIG.datasets[w.dataset].source.settings["rows"],
    shell:
        "{params.command:q} --shards {input:q} --rows {params.rows:q} --output {output:q} --log {log:q}"
