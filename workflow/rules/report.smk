"""Render one self-contained page per experiment, and its parts for `snakemake --report`.

Outputs: results/experiments/{experiment}/report.html, with every figure and table as a file under report/.
"""


# the graph is drawn from the rules themselves; a job cannot see its own DAG, so it asks a second Snakemake
rule report_rulegraph:
    output:
        artefacts.RULEGRAPH.path,
    log:
        artefacts.RULEGRAPH.log,
    benchmark:
        artefacts.RULEGRAPH.benchmark
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("report_rulegraph"),
        configfiles=shlex.join(shortest(path) for path in workflow.configfiles),
        snakefile=shortest(workflow.main_snakefile),
        rules=rules(),
        targets=[one.path for one in (artefacts.CHECKS, artefacts.COMPARISON, artefacts.EXPORT_PROOF)],
    shell:
        "{params.command} --snakefile {params.snakefile} --configfile {params.configfiles}"
        " --target {params.targets} --output {output} --log {log}"


rule report_page:
    input:
        comparison=artefacts.COMPARISON.path,
        summary=artefacts.SUMMARY.path,
        base=lambda w: artefacts.base_answers(EXPERIMENTS[w.experiment]).path,
        base_scores=lambda w: artefacts.base_scores(EXPERIMENTS[w.experiment]).path,
        tuned=artefacts.TUNED_ANSWERS.path,
        tuned_scores=artefacts.TUNED_SCORES.path,
        problems=lambda w: artefacts.PROBLEMS.at(problems=EXPERIMENTS[w.experiment].problems),
        data=lambda w: artefacts.tokenized(EXPERIMENTS[w.experiment]).path,
        quality=lambda w: artefacts.quality(EXPERIMENTS[w.experiment]).path,
        done=artefacts.TRAINED.path,
        proof=lambda w: artefacts.conversion_proof(EXPERIMENTS[w.experiment]).path,
        export_proof=artefacts.EXPORT_PROOF.path,
        mindspeed_answer=lambda w: artefacts.mindspeed_answer(EXPERIMENTS[w.experiment]),
        plan=artefacts.PLAN.path,
        sweep=lambda w: [artefacts.SUMMARY.at(experiment=name) for name in CONFIG.siblings(w.experiment)],
        rulegraph=artefacts.RULEGRAPH.path,
        templates=collect(f"{SCRIPTS.parent}/report/{{name}}", name=REPORT_TEMPLATES),
    output:
        page=report(
            artefacts.REPORT.path,
            caption="../report/page.rst",
            category="{experiment}",
            labels={"part": "the whole report"},
        ),
        loss=report(
            artefacts.REPORT_PART.at(part="loss.svg"),
            caption="../report/loss.rst",
            category="{experiment}",
            labels={"part": "training loss"},
        ),
        accuracy=report(
            artefacts.REPORT_PART.at(part="accuracy.svg"),
            caption="../report/accuracy.rst",
            category="{experiment}",
            labels={"part": "accuracy by family"},
        ),
    log:
        artefacts.REPORT.log,
    benchmark:
        artefacts.REPORT.benchmark
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
