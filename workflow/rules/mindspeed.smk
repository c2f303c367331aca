"""The same stages by MindSpeed-LLM, for experiments that ask for its engine; outputs are those of the stages' own rules.

Each command starts the reference's script of the same name, holds its line against its parser, and checks and adopts
what it wrote. Where it is installed, and how its processes start, comes as a resource: it changes no result.
"""

from distillery.launch.mindspeed import generate_stage, shape, tokenize_stage, train_lines


rule tokenize_shard_mindspeed:
    input:
        shards=lambda w: [ancient(path) for path in shard_files.shards(CONFIG.datasets[w.dataset], w.batch)],
        digest=artefacts.DIGEST.path,
        model=lambda w: artefacts.MODEL.at(model=TOKENIZATIONS[w.tokenization].model),
        handler=lambda w: shard_files.recognised(CONFIG.datasets[w.dataset]),
    output:
        artefacts.TOKENIZED_SHARD.path,
    log:
        artefacts.TOKENIZED_SHARD.log,
    benchmark:
        artefacts.TOKENIZED_SHARD.benchmark
    wildcard_constraints:
        tokenization=tokenized_by("mindspeed-llm"),
    priority: BEFORE_TRAINING
    conda:
        environment("ascend")
    threads: tokenize_stage.WORKERS
    resources:
        launch=lambda w: prefix.host(TOKENIZERS[w.tokenization].hardware),
    params:
        **runs("tokenize_mindspeed", TEMPLATES),
        tokenizer=subpath(input.model, parent=True),
        prefix=subpath(output[0], strip_suffix=artefacts.TOKENIZED_ENDING),
        flags=lambda w: commandline.words(
            tokenize_stage.of_dataset(CONFIG.datasets[w.dataset], TOKENIZATIONS[w.tokenization])
        ),
        handler=lambda w, input: [word for one in input.handler for word in ("--handler-file", one)],
    shell:
        "{params.command:q} --input {input.shards:q} --tokenizer-name-or-path {params.tokenizer:q}"
        " --output-prefix {params.prefix:q} {params.handler:q} {resources.launch} --log {log:q} -- {params.flags:q}"


rule convert_hf_to_mcore_mindspeed:
    input:
        lambda w: artefacts.model(w.model),
    output:
        artefacts.CHECKPOINT.path,
    log:
        artefacts.CHECKPOINT.log,
    benchmark:
        artefacts.CHECKPOINT.benchmark
    wildcard_constraints:
        converted=run_by("mindspeed-llm", "convert", lambda e: e.convert.name),
    priority: BEFORE_TRAINING
    conda:
        environment("ascend")
    resources:
        launch=lambda w: prefix.host(CONVERTED[w.converted].hardware),
        mem_mb=lambda w: estimate.megabytes(
            CONFIG, CONVERTED[w.converted].name, "convert_hf_to_mcore_mindspeed"
        ),
    params:
        **runs("convert_mindspeed"),
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: commandline.convert(CONVERTED[w.converted].convert.layout),
    shell:
        "{params.command:q} {params.layout:q} --load-dir {params.load:q} --save-dir {params.save:q}"
        " {resources.launch} --log {log:q}"


rule train_mindspeed:
    input:
        data=lambda w: stage_inputs.training_data(EXPERIMENTS[w.experiment])[0],
        weights=lambda w: artefacts.weights(EXPERIMENTS[w.experiment]).path,
        model=lambda w: artefacts.rotated_model(EXPERIMENTS[w.experiment]),
    output:
        artefacts.TRAINED.path,
    log:
        artefacts.TRAINED.log,
    benchmark:
        artefacts.TRAINED.benchmark
    wildcard_constraints:
        experiment=run_by("mindspeed-llm", "train"),
    priority: BEFORE_TRAINING
    conda:
        environment("ascend")
    threads: lambda w: prefix.threads(EXPERIMENTS[w.experiment], "train")
    resources:
        **devices("train", engine="mindspeed-llm"),
    params:
        **runs("train_mindspeed"),
        data=subpath(input.data, strip_suffix=artefacts.TOKENIZED_ENDING),
        load=subpath(input.weights, parent=True),
        save=subpath(output[0], parent=True),
        tokenizer=subpath(input.model, parent=True),
        flags=lambda w: commandline.words(train_lines.of_experiment(EXPERIMENTS[w.experiment])),
    shell:
        "{params.command:q} --load {params.load:q} --save {params.save:q} --data-path {params.data:q}"
        " --tokenizer-name-or-path {params.tokenizer:q} {resources.launch} --log {log:q} -- {params.flags:q}"


rule convert_mcore_to_hf_mindspeed:
    input:
        done=artefacts.TRAINED.path,
        model=lambda w: artefacts.rotated_model(EXPERIMENTS[w.experiment]),
    output:
        artefacts.EXPORTED.path,
    log:
        artefacts.EXPORTED.log,
    benchmark:
        artefacts.EXPORTED.benchmark
    wildcard_constraints:
        experiment=run_by("mindspeed-llm", "convert"),
    priority: BEFORE_TRAINING
    conda:
        environment("ascend")
    resources:
        launch=lambda w: prefix.host(EXPERIMENTS[w.experiment].hardware),
        mem_mb=lambda w: estimate.megabytes(CONFIG, w.experiment, "convert_mcore_to_hf_mindspeed"),
    params:
        **runs("convert_mindspeed"),
        load=subpath(input.done, parent=True),
        original=subpath(input.model, parent=True),
        save=subpath(output[0], parent=True),
        dtype=lambda w: EXPERIMENTS[w.experiment].convert.layout.params_dtype,
        # the checkpoint names them too, but its loader does not ask it in time
        stages=lambda w: commandline.words(
            {"num_layer_list": shape.stages(EXPERIMENTS[w.experiment].train.layout)}
        ),
        sampling=lambda w: commandline.sampling(EXPERIMENTS[w.experiment].tuned_generation),
    shell:
        "{params.command:q} --load-dir {params.load:q} --hf-cfg-dir {params.original:q} --save-dir {params.save:q}"
        " --params-dtype {params.dtype:q} {params.stages:q} {params.sampling:q} {resources.launch} --log {log:q}"


# its one built-in question, beside the problem set's answers: for the report
rule generate_mindspeed_answer:
    input:
        weights=lambda w: artefacts.tuned_weights(EXPERIMENTS[w.experiment]).path,
        model=lambda w: artefacts.rotated_model(EXPERIMENTS[w.experiment]),
    output:
        artefacts.MINDSPEED_ANSWER.path,
    log:
        artefacts.MINDSPEED_ANSWER.log,
    benchmark:
        artefacts.MINDSPEED_ANSWER.benchmark
    wildcard_constraints:
        experiment=run_by("mindspeed-llm", "generate"),
    conda:
        environment("ascend")
    threads: lambda w: prefix.threads(EXPERIMENTS[w.experiment], "generate", "mindspeed-llm")
    resources:
        **devices("generate", engine="mindspeed-llm"),
    params:
        **runs("generate_mindspeed"),
        load=subpath(input.weights, parent=True),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.words(generate_stage.of_experiment(EXPERIMENTS[w.experiment])),
    shell:
        "{params.command:q} --load {params.load:q} --tokenizer-name-or-path {params.model:q}"
        " {resources.launch} --output {output:q} --log {log:q} -- {params.flags:q}"
