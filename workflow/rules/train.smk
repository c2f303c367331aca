"""Fine-tune an experiment's weights on its tokenized data.

Output: results/experiments/{experiment}/train/done.json, written last. Checkpoints and metrics lie beside it
in a work directory that Snakemake does not know, hence never deletes: a retry resumes there.
"""


rule train:
    input:
        data=lambda w: stage_inputs.training_data(EXPERIMENTS[w.experiment]),
        weights=lambda w: artefacts.weights(EXPERIMENTS[w.experiment]).path,
        model=lambda w: artefacts.rotated_model(EXPERIMENTS[w.experiment]),
    output:
        artefacts.TRAINED.path,
    log:
        artefacts.TRAINED.log,
    benchmark:
        artefacts.TRAINED.benchmark
    wildcard_constraints:
        experiment=run_by("mindspore", "train"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(EXPERIMENTS[w.experiment], "train")
    resources:
        **devices("train"),
    params:
        **runs("posttrain_gpt", KERNELS),
        # of no `input`: Snakemake compares only params that are derived from none
        data=lambda w: commandline.data(EXPERIMENTS[w.experiment]),
        load=subpath(input.weights, parent=True),
        save=subpath(output[0], parent=True),
        tokenizer=subpath(input.model, parent=True),
        engine_threads=lambda w: EXPERIMENTS[w.experiment].hardware.threads,
        device=lambda w: EXPERIMENTS[w.experiment].hardware.device,
        flags=lambda w: commandline.train(EXPERIMENTS[w.experiment]),
    shell:
        "{resources.launch}{params.command:q} --load {params.load:q} --save {params.save:q} {params.data:q}"
        " --tokenizer-name-or-path {params.tokenizer:q} {params.flags:q}"
        " --device-target {params.device:q} --threads {params.engine_threads:q} --log {log:q}"
