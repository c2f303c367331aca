"""Turn shards into one Megatron indexed dataset per dataset, model and template.

Output: results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json, with the prefix's
`_packed_{input_ids,attention_mask,labels}_document.{bin,idx}` beside it.
"""

TOKENIZATIONS = {e.tokenization.name: e.tokenization for e in EXPERIMENTS.values()}


def conversation_flags(wildcards):
    """How rows of this dataset become conversations under this template."""
    dataset = CONFIG.datasets[wildcards.dataset]
    tokenization = TOKENIZATIONS[wildcards.tokenization]
    return flags(
        {
            "handler_name": dataset.handler_name,
            "prompt_type": tokenization.prompt_type,
            "map_keys": dataset.map_keys,
            "max_rejected_share": tokenization.max_rejected_share,
        }
    )


rule tokenize_shard:
    input:
        # read by the command; its content is tracked by its digest
        shard=ancient("resources/datasets/{dataset}/{shard}.parquet"),
        digest="resources/datasets/{dataset}/{shard}.parquet.sha256",
        model=lambda w: f"resources/models/{TOKENIZATIONS[w.tokenization].model}/manifest.json",
    output:
        "results/datasets/{dataset}/{tokenization}/shards/{shard}_manifest.json",
    log:
        "logs/datasets/{dataset}/{tokenization}/{shard}.log",
    benchmark:
        "benchmarks/results/datasets/{dataset}/{tokenization}/{shard}.tsv"
    params:
        tokenizer=subpath(input.model, parent=True),
        prefix=subpath(output[0], strip_suffix="_manifest.json"),
        flags=conversation_flags,
        code=code("preprocess_data"),
    shell:
        "{PYTHON} {SCRIPTS}/preprocess_data.py --input {input.shard} --tokenizer-name-or-path {params.tokenizer}"
        " --output-prefix {params.prefix} --workers {threads} --log-interval 1000 --tokenizer-type PretrainedFromHF"
        " {params.flags} --log {log}"


def shard_manifests(wildcards):
    return collect(
        "results/datasets/{dataset}/{tokenization}/shards/{shard}_manifest.json",
        dataset=wildcards.dataset,
        tokenization=wildcards.tokenization,
        shard=CONFIG.datasets[wildcards.dataset].shards,
    )


rule merge_shards:
    input:
        shard_manifests,
    output:
        "results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json",
    log:
        "logs/datasets/{dataset}/{tokenization}/merge.log",
    benchmark:
        "benchmarks/results/datasets/{dataset}/{tokenization}/merge.tsv"
    params:
        inputs=lambda w, input: [name.removesuffix("_manifest.json") for name in input],
        prefix=subpath(output[0], strip_suffix="_manifest.json"),
        code=code("merge_datasets"),
    shell:
        "{PYTHON} {SCRIPTS}/merge_datasets.py --input-prefixes {params.inputs} --output-prefix {params.prefix} --log {log}"
