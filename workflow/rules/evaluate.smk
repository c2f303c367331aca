"""Score answers with math-verify, and compare base with tuned problem by problem.

Outputs: *.scores.jsonl beside the answers, results/experiments/{experiment}/{comparison,summary,sweep}.json;
of further problem sets below results/experiments/{experiment}/sets/{problems}/.
"""


rule evaluate_base:
    input:
        generations=artefacts.BASE_ANSWERS.path,
        problems=lambda w: artefacts.PROBLEMS.at(problems=GENERATIONS[w.generation].problems),
        overrules=lambda w: artefacts.overrules(GENERATIONS[w.generation].problems),
    output:
        artefacts.BASE_SCORES.path,
    log:
        artefacts.BASE_SCORES.log,
    benchmark:
        artefacts.BASE_SCORES.benchmark
    wildcard_constraints:
        generation=either(GENERATIONS),
    conda:
        environment("cpu")
    params:
        **runs("score"),
        overrules=lambda w, input: ["--overrules", *input.overrules] if input.overrules else [],
    shell:
        "{params.command:q} --generations {input.generations:q} --problems {input.problems:q} {params.overrules:q}"
        " --output {output:q} --log {log:q}"


use rule evaluate_base as evaluate_tuned with:
    input:
        generations=of_set(artefacts.TUNED_ANSWERS),
        problems=lambda w: artefacts.PROBLEMS.at(problems=asked(w)),
        overrules=lambda w: artefacts.overrules(asked(w)),
    output:
        artefacts.TUNED_SCORES.path,
    log:
        artefacts.TUNED_SCORES.log,
    benchmark:
        artefacts.TUNED_SCORES.benchmark


use rule evaluate_tuned as evaluate_set with:
    output:
        set_artefacts.in_set(artefacts.TUNED_SCORES).path,
    log:
        set_artefacts.in_set(artefacts.TUNED_SCORES).log,
    benchmark:
        set_artefacts.in_set(artefacts.TUNED_SCORES).benchmark


rule evaluate_compare:
    input:
        base=lambda w: artefacts.base_scores(EXPERIMENTS[w.experiment], asked(w)).path,
        tuned=of_set(artefacts.TUNED_SCORES),
        further=further_sets(artefacts.COMPARISON),
    output:
        comparison=artefacts.COMPARISON.path,
        summary=artefacts.SUMMARY.path,
    log:
        artefacts.COMPARISON.log,
    benchmark:
        artefacts.COMPARISON.benchmark
    conda:
        environment("cpu")
    params:
        **runs("evaluate_compare"),
        sets=lambda w: commandline.sets(EXPERIMENTS[w.experiment]),
    shell:
        "{params.command:q} --base {input.base:q} --tuned {input.tuned:q} {params.sets:q}"
        " --output {output.comparison:q} --summary {output.summary:q} --log {log:q}"


use rule evaluate_compare as evaluate_compare_set with:
    input:
        base=lambda w: artefacts.base_scores(EXPERIMENTS[w.experiment], w.problems).path,
        tuned=of_set(artefacts.TUNED_SCORES),
    output:
        comparison=set_artefacts.in_set(artefacts.COMPARISON).path,
        summary=set_artefacts.in_set(artefacts.SUMMARY).path,
    log:
        set_artefacts.in_set(artefacts.COMPARISON).log,
    benchmark:
        set_artefacts.in_set(artefacts.COMPARISON).benchmark
    params:
        **runs("evaluate_compare"),
        sets=[],


# an experiment of a sweep beside all of it
rule evaluate_sweep:
    input:
        lambda w: siblings_scores(w).values(),
    output:
        artefacts.SWEEP.path,
    log:
        artefacts.SWEEP.log,
    benchmark:
        artefacts.SWEEP.benchmark
    conda:
        environment("cpu")
    params:
        **runs("evaluate_sweep"),
        scores=lambda w: [f"{name}={path}" for name, path in siblings_scores(w).items()],
    shell:
        "{params.command:q} --reference {wildcards.experiment:q} --scores {params.scores:q}"
        " --output {output:q} --log {log:q}"


use rule evaluate_sweep as evaluate_sweep_set with:
    output:
        set_artefacts.in_set(artefacts.SWEEP).path,
    log:
        set_artefacts.in_set(artefacts.SWEEP).log,
    benchmark:
        set_artefacts.in_set(artefacts.SWEEP).benchmark
