"""Turn shards into one Megatron indexed dataset per dataset, model and template.

Output: results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json, with the prefix's
`_packed_{input_ids,attention_mask,labels}_document.{bin,idx}` beside it.
"""


rule tokenize_shard:
    input:
        # read by the command; its content is tracked by its digest
        shards=lambda w: [ancient(path) for path in artefacts.shards(w.dataset, w.batch)],
        digest="resources/datasets/{dataset}/{batch}.parquet.sha256",
        model=lambda w: artefacts.model(TOKENIZATIONS[w.tokenization].model),
    output:
        "results/datasets/{dataset}/{tokenization}/shards/{batch}_manifest.json",
    log:
        "logs/datasets/{dataset}/{tokenization}/{batch}.log",
    benchmark:
        "logs/datasets/{dataset}/{tokenization}/{batch}.tsv"
    wildcard_constraints:
        tokenization=run_by("mindspore", "tokenize", lambda e: e.tokenize.name),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("preprocess_data", TEMPLATES),
        tokenizer=subpath(input.model, parent=True),
        prefix=subpath(output[0], strip_suffix="_manifest.json"),
        flags=lambda w: commandline.tokenize(CONFIG.datasets[w.dataset], TOKENIZATIONS[w.tokenization]),
    shell:
        "{params.command} --input {input.shards} --tokenizer-name-or-path {params.tokenizer}"
        " --output-prefix {params.prefix} --workers {threads} --log-interval 1000 --tokenizer-type PretrainedFromHF"
        " {params.flags} --log {log}"


rule tokenize_merge:
    input:
        parts=lambda w: collect(
            "results/datasets/{{dataset}}/{{tokenization}}/shards/{batch}_manifest.json",
            batch=CONFIG.datasets[w.dataset].batches(TOKENIZATIONS[w.tokenization].shards),
        ),
        rows=lambda w: source_flags.counted(CONFIG.datasets[w.dataset]),
    output:
        "results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json",
    log:
        "logs/datasets/{dataset}/{tokenization}/merge.log",
    benchmark:
        "logs/datasets/{dataset}/{tokenization}/merge.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("tokenize_merge"),
        inputs=lambda w, input: [name.removesuffix("_manifest.json") for name in input.parts],
        prefix=subpath(output[0], strip_suffix="_manifest.json"),
    shell:
        "{params.command} --input-prefixes {params.inputs} --output-prefix {params.prefix} --log {log}"


rule tokenize_quality:
    input:
        data="results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json",
        shards=lambda w: [
            ancient(path) for path in artefacts.all_shards(CONFIG, TOKENIZATIONS[w.tokenization])
        ],
        problems="resources/problems/{problems}.parquet",
    output:
        "results/datasets/{dataset}/{tokenization}/quality-{problems}-{seq_length}.json",
    log:
        "logs/datasets/{dataset}/{tokenization}/quality-{problems}-{seq_length}.log",
    benchmark:
        "logs/datasets/{dataset}/{tokenization}/quality-{problems}-{seq_length}.tsv"
    wildcard_constraints:
        seq_length=r"\d+",
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("tokenize_quality", TEMPLATES),
        prefix=subpath(input.data, strip_suffix="_manifest.json"),
    shell:
        "{params.command} --data-prefix {params.prefix} --input {input.shards} --problems {input.problems}"
        " --seq-length {wildcards.seq_length} --output {output} --log {log}"
