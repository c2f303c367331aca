"""Hold the plan against files early, and against the run afterwards.

Outputs: results/experiments/{experiment}/checks.json, made before anything that takes long, and
results/experiments/{experiment}/plan.json with estimates beside measurements.
"""


# what depends on this machine matters only where jobs are about to start
onstart:
    found = machine_checks.run(CONFIG, Path.cwd(), local=workflow.local_exec)
    sys.stderr.writelines(
        f"{printable(str(finding))}\n" for finding in found if finding.severity != "accepted"
    )
    if any(finding.severity == "error" for finding in found):
        raise WorkflowError("this machine cannot hold the plan, as listed above; no job was started")


rule plan_sources:
    input:
        # as it was fetched: an override of rope is no mistake
        model=lambda w: stage_inputs.early_model(CONFIG, EXPERIMENTS[w.experiment]),
        shard=lambda w: [ancient(shard_files.first_shard(one)) for one in datasets_of(w.experiment)],
        digest=lambda w: [shard_files.first_digest(one) for one in datasets_of(w.experiment)],
        problems=lambda w: [artefacts.PROBLEMS.at(problems=one) for one in EXPERIMENTS[w.experiment].asked],
    output:
        artefacts.CHECKS.path,
    log:
        artefacts.CHECKS.log,
    benchmark:
        artefacts.CHECKS.benchmark
    # its errors should come before hours of other work. Training has no file of it as input: as `ancient` it would keep
    # Snakemake from seeing changed params of what follows (jobs below one that is due are looked at no further), and
    # else it would train again for a changed length of answers
    priority: FINDS_FAULTS
    conda:
        environment("cpu")
    params:
        **runs("plan_sources", TEMPLATES),
        model=subpath(input.model, parent=True),
        settings=lambda w: fetched_settings.as_json(CONFIG, w.experiment),
    shell:
        "{params.command:q} --model-dir {params.model:q} --shard {input.shard:q} --problems {input.problems:q}"
        " --settings-json {params.settings:q} --output {output:q} --log {log:q}"


rule plan_outcome:
    input:
        checks=artefacts.CHECKS.path,
        data=lambda w: artefacts.tokenized(EXPERIMENTS[w.experiment]).path,
        weights=lambda w: artefacts.weights(EXPERIMENTS[w.experiment]).path,
        model=lambda w: artefacts.model(EXPERIMENTS[w.experiment].model),
        done=artefacts.TRAINED.path,
        hf=artefacts.EXPORTED.path,
        # what they left is measured
        base=lambda w: [
            artefacts.base_answers(EXPERIMENTS[w.experiment], one).path
            for one in EXPERIMENTS[w.experiment].asked
        ],
        tuned=artefacts.TUNED_ANSWERS.path,
        further=further_sets(artefacts.TUNED_ANSWERS),
        base_scores=lambda w: [
            artefacts.base_scores(EXPERIMENTS[w.experiment], one).path
            for one in EXPERIMENTS[w.experiment].asked
        ],
        tuned_scores=artefacts.TUNED_SCORES.path,
        further_scores=further_sets(artefacts.TUNED_SCORES),
    output:
        artefacts.PLAN.path,
    log:
        artefacts.PLAN.log,
    benchmark:
        artefacts.PLAN.benchmark
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("plan_outcome"),
        plan=lambda w: canonical(estimate.summary(CONFIG, w.experiment, FINDINGS)),
    shell:
        "{params.command:q} --plan-json {params.plan:q} --checks {input.checks:q} --done {input.done:q}"
        " --data-manifest {input.data:q} --output {output:q} --log {log:q}"
