"""Render one self-contained page per experiment, its parts for `snakemake --report`, its model's card, and a page over all.

Outputs: results/experiments/{experiment}/report.html, with every figure and table as a file under report/; of further
problem sets results/experiments/{experiment}/sets/{problems}/report.html; the export with its model card in
results/experiments/{experiment}/upload/; and of several experiments results/overview.html.
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
        environment("cpu")
    resources:
        configured=shlex.join(CONFIGURED),
    params:
        **runs("report_rulegraph"),
        snakefile=lambda w: files.from_here(Path(workflow.main_snakefile)),
        rules=rules(),
        # what of the configuration has a part in it; how that was given is a resource: a copy of the file draws the same
        parts=lambda w: canonical(drawn_parts(EXPERIMENTS[w.experiment])),
        targets=[one.path for one in (artefacts.CHECKS, artefacts.COMPARISON, artefacts.EXPORT_PROOF)],
    shell:
        "{params.command:q} --snakefile {params.snakefile:q} {resources.configured}"
        " --target {params.targets:q} --output {output:q} --log {log:q}"


rule report_page:
    input:
        comparison=of_set(artefacts.COMPARISON),
        summary=of_set(artefacts.SUMMARY),
        base=lambda w: artefacts.base_answers(EXPERIMENTS[w.experiment], asked(w)).path,
        base_scores=lambda w: artefacts.base_scores(EXPERIMENTS[w.experiment], asked(w)).path,
        tuned=of_set(artefacts.TUNED_ANSWERS),
        tuned_scores=of_set(artefacts.TUNED_SCORES),
        problems=lambda w: artefacts.PROBLEMS.at(problems=asked(w)),
        data=lambda w: artefacts.tokenized(EXPERIMENTS[w.experiment]).path,
        quality=lambda w: artefacts.quality(EXPERIMENTS[w.experiment]).path,
        mixed=lambda w: list(stage_inputs.mixed_quality(EXPERIMENTS[w.experiment]).values()),
        done=artefacts.TRAINED.path,
        proof=lambda w: artefacts.conversion_proof(EXPERIMENTS[w.experiment]).path,
        export_proof=artefacts.EXPORT_PROOF.path,
        exported=artefacts.EXPORTED.path,
        original=lambda w: artefacts.MODEL.at(model=EXPERIMENTS[w.experiment].tokenize.model),
        datasets=lambda w: list(stage_inputs.tokenized(EXPERIMENTS[w.experiment]).values()),
        mindspeed_answer=lambda w: artefacts.mindspeed_answer(EXPERIMENTS[w.experiment]),
        plan=artefacts.PLAN.path,
        # linked from the experiment's page
        further=lambda w: [] if "problems" in w.keys() else further_sets(artefacts.REPORT)(w),
        sweep=lambda w: [of_set(artefacts.SWEEP)(w)] if siblings_scores(w) else [],
        rulegraph=artefacts.RULEGRAPH.path,
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
        # not in the export's own folder, which is made before there are scores, and anew as a whole
        card=artefacts.MODEL_CARD.path,
        upload=artefacts.UPLOAD.path,
    log:
        artefacts.REPORT.log,
    benchmark:
        artefacts.REPORT.benchmark
    conda:
        environment("cpu")
    params:
        **runs("report_page", PAGE_TEMPLATES),
        parts=subpath(output.loss, parent=True),
        # measurements beside the jobs' logs; nothing waits for them, and where they are missing the page says so
        samples=lambda w: [
            f"{job}={path}"
            for job, path in set_artefacts.samples(EXPERIMENTS[w.experiment], asked(w)).items()
        ],
        sweep=lambda w, input: ["--sweep", *input.sweep] if input.sweep else [],
        asked=lambda w, input: (
            ["--mindspeed-answer", *input.mindspeed_answer] if input.mindspeed_answer else []
        ),
        mixed=lambda w: commandline.named(
            "--mixed-quality", stage_inputs.mixed_quality(EXPERIMENTS[w.experiment])
        ),
        datasets=lambda w: commandline.named("--datasets", stage_inputs.tokenized(EXPERIMENTS[w.experiment])),
        origins=lambda w: canonical(stated_sources.of(CONFIG, w.experiment)),
        overview=lambda w: [f"--overview={path}" for path in standing.overview(CONFIG)],
        manifest=lambda w, output: artefacts.PROVENANCE.at(path=output.page),
        card=lambda w, output: (
            ["--card", output.card, "--upload", output.upload] if "card" in output.keys() else []
        ),
        config=lambda w: canonical(EXPERIMENTS[w.experiment].settings),
        name=lambda w: ":".join([w.experiment, *([w.problems] if "problems" in w.keys() else [])]),
    shell:
        "{params.command:q} --name {params.name:q} --comparison {input.comparison:q}"
        " --summary {input.summary:q} --base-generations {input.base:q} --tuned-generations {input.tuned:q}"
        " --base-scores {input.base_scores:q} --tuned-scores {input.tuned_scores:q} --problems {input.problems:q}"
        " --data-manifest {input.data:q} --quality {input.quality:q} --done {input.done:q} --conversion-proof {input.proof:q}"
        " --export-proof {input.export_proof:q} --exported {input.exported:q} --original {input.original:q} {params.datasets:q} --origins-json {params.origins:q} {params.card:q} {params.overview:q} --manifest {params.manifest:q} --plan {input.plan:q} {params.asked:q} {params.sweep:q} {params.mixed:q} --samples {params.samples:q}"
        " --rulegraph {input.rulegraph:q} --config-json {params.config:q}"
        " --output {output.page:q} --parts-dir {params.parts:q} --log {log:q}"


use rule report_page as report_set_page with:
    output:
        page=report(
            set_artefacts.in_set(artefacts.REPORT).path,
            caption="../report/page.rst",
            category="{experiment}",
            subcategory="{problems}",
            labels={"part": "the whole report"},
        ),
        loss=set_artefacts.in_set(artefacts.REPORT_PART).at(part="loss.svg"),
        accuracy=report(
            set_artefacts.in_set(artefacts.REPORT_PART).at(part="accuracy.svg"),
            caption="../report/accuracy.rst",
            category="{experiment}",
            subcategory="{problems}",
            labels={"part": "accuracy by family"},
        ),
    log:
        set_artefacts.in_set(artefacts.REPORT).log,
    benchmark:
        set_artefacts.in_set(artefacts.REPORT).benchmark


# it reads no report: each of them links it
rule report_overview:
    input:
        summaries=[artefacts.SUMMARY.at(experiment=name) for name in EXPERIMENTS],
        plans=[artefacts.PLAN.at(experiment=name) for name in EXPERIMENTS],
        sweeps=list(set_artefacts.sweeps(CONFIG).values()),
    output:
        report(
            artefacts.OVERVIEW.path,
            caption="../report/overview.rst",
            category="all experiments",
            labels={"part": "side by side"},
        ),
    log:
        artefacts.OVERVIEW.log,
    benchmark:
        artefacts.OVERVIEW.benchmark
    conda:
        environment("cpu")
    params:
        **runs("report_overview", PAGE_TEMPLATES),
        settings=lambda w: canonical({name: e.settings for name, e in EXPERIMENTS.items()}),
        summaries=lambda w, input: commandline.named("--summary", dict(zip(EXPERIMENTS, input.summaries))),
        plans=lambda w, input: commandline.named("--plan", dict(zip(EXPERIMENTS, input.plans))),
        reports=commandline.named(
            "--report", {name: artefacts.REPORT.at(experiment=name) for name in EXPERIMENTS}
        ),
        sweeps=commandline.named("--sweep", set_artefacts.sweeps(CONFIG)),
    shell:
        "{params.command:q} --settings-json {params.settings:q} {params.summaries:q} {params.plans:q} {params.reports:q}"
        " {params.sweeps:q} --output {output:q} --log {log:q}"
