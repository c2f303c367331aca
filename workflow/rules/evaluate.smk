"""Score answers with math-verify, and compare base with tuned problem by problem.

Outputs: *.scores.jsonl beside the answers, results/experiments/{experiment}/{comparison,summary}.json.
"""


rule score_base:
    input:
        generations="results/generations/{model}/{generation}.jsonl",
        problems=lambda w: f"resources/problems/{GENERATIONS[w.generation].problems}.parquet",
    output:
        "results/generations/{model}/{generation}.scores.jsonl",
    log:
        "logs/generations/{model}/{generation}.scores.log",
    benchmark:
        "benchmarks/results/generations/{model}/{generation}.scores.tsv"
    wildcard_constraints:
        generation="|".join(map(re.escape, GENERATIONS)),
    params:
        code=code("score"),
    shell:
        "{PYTHON} {SCRIPTS}/score.py --generations {input.generations} --problems {input.problems}"
        " --output {output} --log {log}"


use rule score_base as score_tuned with:
    input:
        generations="results/experiments/{experiment}/tuned.jsonl",
        problems=lambda w: f"resources/problems/{EXPERIMENTS[w.experiment].problems}.parquet",
    output:
        "results/experiments/{experiment}/tuned.scores.jsonl",
    log:
        "logs/{experiment}/score_tuned.log",
    benchmark:
        "benchmarks/results/{experiment}/score_tuned.tsv"


rule compare:
    input:
        base=lambda w: f"{base_answers(w.experiment)}.scores.jsonl",
        tuned="results/experiments/{experiment}/tuned.scores.jsonl",
    output:
        comparison="results/experiments/{experiment}/comparison.json",
        summary="results/experiments/{experiment}/summary.json",
    log:
        "logs/{experiment}/compare.log",
    benchmark:
        "benchmarks/results/{experiment}/compare.tsv"
    params:
        code=code("compare"),
    shell:
        "{PYTHON} {SCRIPTS}/compare.py --base {input.base} --tuned {input.tuned}"
        " --output {output.comparison} --summary {output.summary} --log {log}"
