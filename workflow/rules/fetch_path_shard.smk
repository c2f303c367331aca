"""Datasets of files on this machine: each file under its name in the dataset.

Outputs: resources/datasets/{dataset}/{shard} and its manifest.
"""


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
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_path"),
        place=lambda w: source_flags.local_place(CONFIG.datasets[w.dataset], w.shard),
        stamp=lambda w: changed(source_flags.local_file(CONFIG.datasets[w.dataset], w.shard)),
    shell:
        "{params.command:q} --kind shard {params.place:q} --output {output.shard:q} --log {log:q}"
