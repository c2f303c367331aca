"""The same answers by a server, for experiments whose `generate.engine` names one; outputs are those of the built-in engine's rules.

The weights are the exported directory's, which a server that the job starts serves as it is. Where the server is, and how many
of it are started, comes as a resource: it changes no answer.
"""


rule generate_base_answers_served:
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
        generation=answered(GENERATIONS, served=True),
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(ASKERS[w.generation], "generate")
    resources:
        **asking(lambda w: ASKERS[w.generation], lambda w: GENERATIONS[w.generation]),
    params:
        **runs("generate_served", TEMPLATES),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.served(GENERATIONS[w.generation]),
    shell:
        "{params.command:q} --load {params.model:q} {resources.launch} --prompt-file {input.problems:q}"
        " {params.flags:q} --output {output:q} --log {log:q}"


rule generate_tuned_answers_served:
    input:
        weights=artefacts.EXPORTED.path,
        problems=lambda w: artefacts.PROBLEMS.at(problems=asked(w)),
    output:
        artefacts.TUNED_ANSWERS.path,
    log:
        artefacts.TUNED_ANSWERS.log,
    benchmark:
        artefacts.TUNED_ANSWERS.benchmark
    wildcard_constraints:
        experiment=answered(TUNED, served=True),
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(EXPERIMENTS[w.experiment], "generate")
    resources:
        **asking(
            lambda w: EXPERIMENTS[w.experiment], lambda w: EXPERIMENTS[w.experiment].asked[asked(w)].tuned
        ),
    params:
        **runs("generate_served", TEMPLATES),
        load=subpath(input.weights, parent=True),
        flags=lambda w: commandline.served(EXPERIMENTS[w.experiment].asked[asked(w)].tuned),
    shell:
        "{params.command:q} --load {params.load:q} {resources.launch} --prompt-file {input.problems:q}"
        " {params.flags:q} --output {output:q} --log {log:q}"


use rule generate_tuned_answers_served as generate_set_answers_served with:
    output:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).path,
    log:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).log,
    benchmark:
        set_artefacts.in_set(artefacts.TUNED_ANSWERS).benchmark
