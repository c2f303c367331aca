"""Render one self-contained page per experiment, and its parts for `snakemake --report`.

Outputs: results/experiments/{experiment}/report.html, with every figure and table as a file under report/.
"""


# the graph is drawn from the rules themselves; a job cannot see its own DAG, so it asks a second Snakemake
rule report_rulegraph:
    output:
        "results/experiments/{experiment}/rulegraph.dot",
    log:
        "logs/{experiment}/rulegraph.log",
    benchmark:
        "logs/{experiment}/rulegraph.tsv"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("report_rulegraph"),
        configfiles=shlex.join(shortest(path) for path in workflow.configfiles),
        snakefile=shortest(workflow.main_snakefile),
        rules=rules(),
    shell:
        "{params.command} --snakefile {params.snakefile} --configfile {params.configfiles}"
        " --target results/experiments/{wildcards.experiment}/checks.json"
        " results/experiments/{wildcards.experiment}/comparison.json"
        " results/experiments/{wildcards.experiment}/hf.proof.json --output {output} --log {log}"


rule report_page:
    input:
        comparison="results/experiments/{experiment}/comparison.json",
        summary="results/experiments/{experiment}/summary.json",
        base=lambda w: f"{artefacts.base_answers(EXPERIMENTS[w.experiment])}.jsonl",
        base_scores=lambda w: f"{artefacts.base_answers(EXPERIMENTS[w.experiment])}.scores.jsonl",
        tuned="results/experiments/{experiment}/tuned.jsonl",
        tuned_scores="results/experiments/{experiment}/tuned.scores.jsonl",
        problems=lambda w: artefacts.problems(EXPERIMENTS[w.experiment].problems),
        data=lambda w: artefacts.tokenized(EXPERIMENTS[w.experiment]),
        quality=lambda w: artefacts.quality(EXPERIMENTS[w.experiment]),
        done="results/experiments/{experiment}/train/done.json",
        proof=lambda w: artefacts.conversion_proof(EXPERIMENTS[w.experiment]),
        export_proof="results/experiments/{experiment}/hf.proof.json",
        mindspeed_answer=lambda w: artefacts.mindspeed_answer(EXPERIMENTS[w.experiment]),
        plan="results/experiments/{experiment}/plan.json",
        sweep=lambda w: [f"results/experiments/{name}/summary.json" for name in CONFIG.siblings(w.experiment)],
        rulegraph="results/experiments/{experiment}/rulegraph.dot",
        templates=collect(f"{SCRIPTS.parent}/report/{{name}}", name=REPORT_TEMPLATES),
    output:
        page=report(
            "results/experiments/{experiment}/report.html",
            caption="../report/page.rst",
            category="{experiment}",
            labels={"part": "the whole report"},
        ),
        loss=report(
            "results/experiments/{experiment}/report/loss.svg",
            caption="../report/loss.rst",
            category="{experiment}",
            labels={"part": "training loss"},
        ),
        accuracy=report(
            "results/experiments/{experiment}/report/accuracy.svg",
            caption="../report/accuracy.rst",
            category="{experiment}",
            labels={"part": "accuracy by family"},
        ),
    log:
        "logs/{experiment}/report.log",
    benchmark:
        "logs/{experiment}/report.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("report_page"),
        parts=subpath(output.loss, parent=True),
        # measurements beside the jobs' logs; nothing waits for them, and where they are missing the page says so
        samples=lambda w: shlex.join(
            f"{job}={path}" for job, path in artefacts.samples(EXPERIMENTS[w.experiment]).items()
        ),
        sweep=lambda w, input: " ".join(["--sweep", *input.sweep]) if input.sweep else "",
        asked=lambda w, input: (
            " ".join(["--mindspeed-answer", *input.mindspeed_answer]) if input.mindspeed_answer else ""
        ),
        config=lambda w: shlex.quote(canonical(EXPERIMENTS[w.experiment].settings)),
    shell:
        "{params.command} --name {wildcards.experiment} --comparison {input.comparison}"
        " --summary {input.summary} --base-generations {input.base} --tuned-generations {input.tuned}"
        " --base-scores {input.base_scores} --tuned-scores {input.tuned_scores} --problems {input.problems}"
        " --data-manifest {input.data} --quality {input.quality} --done {input.done} --conversion-proof {input.proof}"
        " --export-proof {input.export_proof} --plan {input.plan} {params.asked} {params.sweep} --samples {params.samples}"
        " --rulegraph {input.rulegraph} --config-json {params.config}"
        " --output {output.page} --parts-dir {params.parts} --log {log}"
