"""Turn shards into one Megatron indexed dataset per dataset, model and template.

Output: results/datasets/{dataset}/{tokenization}/{dataset}_manifest.json, with the prefix's
`_packed_{input_ids,attention_mask,labels}_document.{bin,idx}` beside it.
"""


# the first rows of the first shard tell for all of them
rule tokenize_recognise:
    input:
        shard=lambda w: ancient(shard_files.first_shard(CONFIG.datasets[w.dataset])),
        digest=lambda w: shard_files.first_digest(CONFIG.datasets[w.dataset]),
    output:
        artefacts.HANDLER.path,
    log:
        artefacts.HANDLER.log,
    benchmark:
        artefacts.HANDLER.benchmark
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("tokenize_recognise"),
    shell:
        "{params.command:q} --input {input.shard:q} --output {output:q} --log {log:q}"


rule tokenize_shard:
    input:
        # read by the command; its content is tracked by its digest
        shards=lambda w: [ancient(path) for path in shard_files.shards(CONFIG.datasets[w.dataset], w.batch)],
        digest=lambda w: shard_files.digest(w.dataset, w.batch),
        model=lambda w: artefacts.MODEL.at(model=TOKENIZATIONS[w.tokenization].model),
        left_out=lambda w: shard_files.selection(TOKENIZATIONS[w.tokenization], artefacts.LEFT_OUT),
        handler=lambda w: shard_files.recognised(CONFIG.datasets[w.dataset]),
    output:
        artefacts.TOKENIZED_SHARD.path,
    log:
        artefacts.TOKENIZED_SHARD.log,
    benchmark:
        artefacts.TOKENIZED_SHARD.benchmark
    wildcard_constraints:
        tokenization=tokenized_by("mindspore"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("preprocess_data", TEMPLATES),
        tokenizer=subpath(input.model, parent=True),
        prefix=subpath(output[0], strip_suffix=artefacts.TOKENIZED_ENDING),
        flags=lambda w: commandline.tokenize(
            CONFIG.datasets[w.dataset], TOKENIZATIONS[w.tokenization], w.batch
        ),
        handler=lambda w, input: [word for one in input.handler for word in ("--handler-file", one)],
        left_out=lambda w, input: [word for one in input.left_out for word in ("--left-out", one)],
    shell:
        "{params.command:q} --input {input.shards:q} --tokenizer-name-or-path {params.tokenizer:q}"
        " --output-prefix {params.prefix:q} --workers {threads:q} --log-interval 1000 --tokenizer-type PretrainedFromHF"
        " {params.flags:q} {params.handler:q} {params.left_out:q} --log {log:q}"


rule tokenize_merge:
    input:
        parts=lambda w: [
            artefacts.TOKENIZED_SHARD.at(dataset=w.dataset, tokenization=w.tokenization, batch=one)
            for one in shard_files.batches(CONFIG.datasets[w.dataset], TOKENIZATIONS[w.tokenization])
        ],
        rows=lambda w: source_flags.counted(CONFIG.datasets[w.dataset]),
    output:
        artefacts.TOKENIZED.path,
    log:
        artefacts.TOKENIZED.log,
    benchmark:
        artefacts.TOKENIZED.benchmark
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("tokenize_merge"),
        inputs=lambda w, input: [name.removesuffix(artefacts.TOKENIZED_ENDING) for name in input.parts],
        prefix=subpath(output[0], strip_suffix=artefacts.TOKENIZED_ENDING),
    shell:
        "{params.command:q} --input-prefixes {params.inputs:q} --output-prefix {params.prefix:q} --log {log:q}"


rule tokenize_quality:
    input:
        data=artefacts.TOKENIZED.path,
        shards=lambda w: [
            ancient(path) for path in shard_files.all_shards(CONFIG, TOKENIZATIONS[w.tokenization])
        ],
        problems=lambda w: artefacts.quality_problems(w.problems),
        left_out=lambda w: shard_files.selection(TOKENIZATIONS[w.tokenization], artefacts.LEFT_OUT),
        selection=lambda w: shard_files.selection(TOKENIZATIONS[w.tokenization], artefacts.SELECTION),
        pass_rates=lambda w: shard_files.pass_rates(CONFIG.datasets[w.dataset], TOKENIZATIONS[w.tokenization]),
    output:
        artefacts.QUALITY.path,
    log:
        artefacts.QUALITY.log,
    benchmark:
        artefacts.QUALITY.benchmark
    wildcard_constraints:
        seq_length=r"\d+",
    conda:
        environment("cpu")
    params:
        **runs("tokenize_quality", TEMPLATES),
        prefix=subpath(input.data, strip_suffix=artefacts.TOKENIZED_ENDING),
        taught=lambda w, input: ["--pass-rates", *input.pass_rates] if input.pass_rates else [],
        chosen=lambda w, input: [
            word
            for flag, found in (("--left-out", input.left_out), ("--selection", input.selection))
            for one in found
            for word in (flag, one)
        ],
        words=lambda w: commandline.overlap(TOKENIZATIONS[w.tokenization]),
    shell:
        "{params.command:q} --data-prefix {params.prefix:q} --input {input.shards:q} --problems {input.problems:q} {params.taught:q}"
        " {params.chosen:q} {params.words:q}"
        " --seq-length {wildcards.seq_length:q} --output {output:q} --log {log:q}"


# MindSpeed-LLM's post-training reads a single dataset; the built-in engine mixes while it trains
rule tokenize_mix:
    input:
        lambda w: stage_inputs.tokenized_parts(EXPERIMENTS[w.experiment]),
    output:
        artefacts.MIXED.path,
    log:
        artefacts.MIXED.log,
    benchmark:
        artefacts.MIXED.benchmark
    wildcard_constraints:
        experiment=run_by("mindspeed-llm", "train"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("tokenize_mix"),
        data=lambda w: commandline.data(EXPERIMENTS[w.experiment]),
        drawn=lambda w: commandline.drawn(EXPERIMENTS[w.experiment]),
        prefix=subpath(output[0], strip_suffix=artefacts.TOKENIZED_ENDING),
    shell:
        "{params.command:q} {params.data:q} {params.drawn:q} --output-prefix {params.prefix:q} --log {log:q}"
