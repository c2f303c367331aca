"""Answer the problem set with the original and with the tuned weights, under the same settings.

Outputs: results/generations/{model}/{generation}.jsonl (shared by all experiments that ask the same of a model),
results/experiments/{experiment}/tuned.jsonl (of further problem sets below sets/{problems}/), and before it, where answers have another layout than training,
results/experiments/{experiment}/reshard-{layout}/manifest.json.
"""


rule generate_base_answers:
    input:
        model=lambda w: artefacts.model(w.model),
        problems=lambda w: artefacts.PROBLEMS.at(problems=GENERATIONS[w.generation].problems),
    output:
        artefacts.BASE_ANSWERS.path,
    log:
        artefacts.BASE_ANSWERS.log,
    benchmark:
        artefacts.BASE_ANSWERS.benchmark
    wildcard_constraints:
        generation=answered(GENERATIONS, served=False),
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(ASKERS[w.generation], "generate")
    resources:
        **devices("generate", lambda w: ASKERS[w.generation]),
    params:
        **runs("inference", TEMPLATES, KERNELS),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.generate(GENERATIONS[w.generation]),
    shell:
        "{resources.launch}{params.command:q} --load {params.model:q} --tokenizer-name-or-path {params.model:q}"
        " --prompt-file {input.problems:q} {params.flags:q} --output {output:q} --log {log:q}"


rule convert_reshard_tuned:
    input:
        artefacts.TRAINED.path,
    output:
        artefacts.TRAINED_RESHARDED.path,
    log:
        artefacts.TRAINED_RESHARDED.log,
    benchmark:
        artefacts.TRAINED_RESHARDED.benchmark
    wildcard_constraints:
        layout=either(LAYOUTS),
    conda:
        environment("cpu")
    params:
        **runs("convert_ckpt"),
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: commandline.convert(LAYOUTS[w.layout]),
    shell:
        "{params.command:q} --use-mcore-models --model-type GPT --load-model-type mg"
        " --save-model-type mg --model-type-hf llama2 {params.layout:q} --load-dir {params.load:q}"
        " --save-dir {params.save:q} --log {log:q}"


rule generate_tuned_answers:
    input:
        weights=lambda w: artefacts.tuned_weights(EXPERIMENTS[w.experiment]).path,
        # config.json and the tokenizer
        model=lambda w: artefacts.rotated_model(EXPERIMENTS[w.experiment]),
        problems=lambda w: artefacts.PROBLEMS.at(problems=asked(w)),
    output:
        artefacts.TUNED_ANSWERS.path,
    log:
        artefacts.TUNED_ANSWERS.log,
    benchmark:
        artefacts.TUNED_ANSWERS.benchmark
    wildcard_constraints:
        experiment=answered(TUNED, served=False),
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(EXPERIMENTS[w.experiment], "generate")
    resources:
        **devices("generate"),
    params:
        **runs("inference", TEMPLATES, KERNELS),
        load=subpath(input.weights, parent=True),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.generate(EXPERIMENTS[w.experiment].asked[asked(w)].tuned),
    shell:
        "{resources.launch}{params.command:q} --load {params.load:q} --tokenizer-name-or-path {params.model:q}"
        " --prompt-file {input.problems:q} {params.flags:q} --output {output:q} --log {log:q}"


use rule generate_tuned_answers as generate_set_answers with:
    output:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).path,
    log:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).log,
    benchmark:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).benchmark
