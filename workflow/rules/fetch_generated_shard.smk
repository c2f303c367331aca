"""Datasets that are made here: a shard of rows by a generator with a seed.

Output: resources/datasets/{dataset}/train-{index}-of-{total}.parquet.
"""


rule fetch_generated_shard:
    output:
        NUMBERED_SHARD.path,
    log:
        NUMBERED_SHARD.log,
    benchmark:
        NUMBERED_SHARD.benchmark
    wildcard_constraints:
        dataset=of_kind(CONFIG.datasets, "generator"),
    priority: BEFORE_TRAINING
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
