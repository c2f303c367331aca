"""Datasets of a hub or of addresses: each file as the lock names it.

Outputs: resources/datasets/{dataset}/{shard} and its manifest.
"""


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
    priority: BEFORE_TRAINING
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
