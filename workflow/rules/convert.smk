"""Convert weights between Hugging Face directories and MCore checkpoints, and prove it.

Outputs: results/checkpoints/{model}/{layout}/manifest.json, {layout}.proof.json beside that directory,
results/checkpoints/{model}/{layout}-to-{target}/manifest.json, results/experiments/{experiment}/hf/manifest.json
and hf.proof.json beside that directory.
"""


rule convert_hf_to_mcore:
    input:
        lambda w: artefacts.model(w.model),
    output:
        artefacts.CHECKPOINT.path,
    log:
        artefacts.CHECKPOINT.log,
    benchmark:
        artefacts.CHECKPOINT.benchmark
    wildcard_constraints:
        converted=run_by("mindspore", "convert", lambda e: e.convert.name),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("convert_ckpt"),
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: commandline.convert(CONVERTED[w.converted].convert.layout),
    shell:
        "{params.command:q} --use-mcore-models --model-type GPT --load-model-type hf"
        " --save-model-type mg --model-type-hf llama2 {params.layout:q} --load-dir {params.load:q}"
        " --save-dir {params.save:q} --tokenizer-model {params.load:q}/tokenizer.json --log {log:q}"


rule convert_prove_round_trip:
    input:
        hf=lambda w: artefacts.model(w.model),
        mcore=artefacts.CHECKPOINT.path,
    output:
        artefacts.CONVERSION_PROOF.path,
    log:
        artefacts.CONVERSION_PROOF.log,
    benchmark:
        artefacts.CONVERSION_PROOF.benchmark
    wildcard_constraints:
        converted=either(CONVERTED),
    conda:
        environment("cpu")
    params:
        **runs("convert_verify"),
        hf=subpath(input.hf, parent=True),
        mcore=subpath(input.mcore, parent=True),
    shell:
        "{params.command:q} --hf-dir {params.hf:q} --mcore-dir {params.mcore:q} --output {output:q} --log {log:q}"


rule convert_reshard:
    input:
        artefacts.CHECKPOINT.path,
    output:
        artefacts.RESHARDED.path,
    log:
        artefacts.RESHARDED.log,
    benchmark:
        artefacts.RESHARDED.benchmark
    wildcard_constraints:
        converted=either(CONVERTED),
        target=either(LAYOUTS),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("convert_ckpt"),
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: commandline.convert(LAYOUTS[w.target]),
    shell:
        "{params.command:q} --use-mcore-models --model-type GPT --load-model-type mg"
        " --save-model-type mg --model-type-hf llama2 {params.layout:q} --load-dir {params.load:q}"
        " --save-dir {params.save:q} --log {log:q}"


rule convert_mcore_to_hf:
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
        experiment=run_by("mindspore", "convert"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("convert_ckpt"),
        load=subpath(input.done, parent=True),
        original=subpath(input.model, parent=True),
        save=subpath(output[0], parent=True),
        sampling=lambda w: commandline.sampling(EXPERIMENTS[w.experiment].tuned_generation),
    shell:
        "{params.command:q} --use-mcore-models --model-type GPT --load-model-type mg"
        " --save-model-type hf --model-type-hf llama2 --load-dir {params.load:q} --hf-cfg-dir {params.original:q}"
        " --save-dir {params.save:q} {params.sampling:q} --log {log:q}"


# answers are scored with the trained weights themselves, what is handed over is their export: the same, proven
rule convert_prove_export:
    input:
        hf=artefacts.EXPORTED.path,
        weights=lambda w: artefacts.tuned_weights(EXPERIMENTS[w.experiment]).path,
    output:
        artefacts.EXPORT_PROOF.path,
    log:
        artefacts.EXPORT_PROOF.log,
    benchmark:
        artefacts.EXPORT_PROOF.benchmark
    conda:
        environment("cpu")
    params:
        **runs("convert_verify"),
        hf=subpath(input.hf, parent=True),
        mcore=subpath(input.weights, parent=True),
    shell:
        "{params.command:q} --hf-dir {params.hf:q} --mcore-dir {params.mcore:q} --output {output:q} --log {log:q}"
