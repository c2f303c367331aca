"""Score answers with math-verify, and compare base with tuned problem by problem.

Outputs: *.scores.jsonl beside the answers, results/experiments/{experiment}/{comparison,summary}.json.
"""


rule evaluate_base:
    input:
        generations=artefacts.BASE_ANSWERS.path,
        problems=lambda w: artefacts.PROBLEMS.at(problems=GENERATIONS[w.generation].problems),
        overrules=lambda w: decisions(GENERATIONS[w.generation].problems),
    output:
        artefacts.BASE_SCORES.path,
    log:
        artefacts.BASE_SCORES.log,
    benchmark:
        artefacts.BASE_SCORES.benchmark
    wildcard_constraints:
        generation=either(GENERATIONS),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("score"),
        overrules=lambda w, input: ["--overrules", *input.overrules] if input.overrules else [],
    shell:
        "{params.command:q} --generations {input.generations:q} --problems {input.problems:q} {params.overrules:q}"
        " --output {output:q} --log {log:q}"


use rule evaluate_base as evaluate_tuned with:
    input:
        generations=artefacts.TUNED_ANSWERS.path,
        problems=lambda w: artefacts.PROBLEMS.at(problems=EXPERIMENTS[w.experiment].problems),
        overrules=lambda w: decisions(EXPERIMENTS[w.experiment].problems),
    output:
        artefacts.TUNED_SCORES.path,
    log:
        artefacts.TUNED_SCORES.log,
    benchmark:
        artefacts.TUNED_SCORES.benchmark


rule evaluate_compare:
    input:
        base=lambda w: artefacts.base_scores(EXPERIMENTS[w.experiment]).path,
        tuned=artefacts.TUNED_SCORES.path,
    output:
        comparison=artefacts.COMPARISON.path,
        summary=artefacts.SUMMARY.path,
    log:
        artefacts.COMPARISON.log,
    benchmark:
        artefacts.COMPARISON.benchmark
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("evaluate_compare"),
    shell:
        "{params.command:q} --base {input.base:q} --tuned {input.tuned:q}"
        " --output {output.comparison:q} --summary {output.summary:q} --log {log:q}"
