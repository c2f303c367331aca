"""Score answers with math-verify, and compare base with tuned problem by problem.

Outputs: *.scores.jsonl beside the answers, results/experiments/{experiment}/{comparison,summary}.json.
"""


rule evaluate_base:
    input:
        generations="results/generations/{model}/{generation}.jsonl",
        problems=lambda w: artefacts.problems(GENERATIONS[w.generation].problems),
    output:
        "results/generations/{model}/{generation}.scores.jsonl",
    log:
        "logs/generations/{model}/{generation}.scores.log",
    benchmark:
        "logs/generations/{model}/{generation}.scores.tsv"
    wildcard_constraints:
        generation=either(GENERATIONS),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("score"),
    shell:
        "{params.command} --generations {input.generations} --problems {input.problems}"
        " --output {output} --log {log}"


use rule evaluate_base as evaluate_tuned with:
    input:
        generations="results/experiments/{experiment}/tuned.jsonl",
        problems=lambda w: artefacts.problems(EXPERIMENTS[w.experiment].problems),
    output:
        "results/experiments/{experiment}/tuned.scores.jsonl",
    log:
        "logs/{experiment}/score_tuned.log",
    benchmark:
        "logs/{experiment}/score_tuned.tsv"


rule evaluate_compare:
    input:
        base=lambda w: f"{artefacts.base_answers(EXPERIMENTS[w.experiment])}.scores.jsonl",
        tuned="results/experiments/{experiment}/tuned.scores.jsonl",
    output:
        comparison="results/experiments/{experiment}/comparison.json",
        summary="results/experiments/{experiment}/summary.json",
    log:
        "logs/{experiment}/compare.log",
    benchmark:
        "logs/{experiment}/compare.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("evaluate_compare"),
    shell:
        "{params.command} --base {input.base} --tuned {input.tuned}"
        " --output {output.comparison} --summary {output.summary} --log {log}"
