"""Datasets whose rows a teacher writes: problems are asked part by part, and the right answers of a part are a shard.

Outputs: results/teachers/{teacher}/{index}-of-{total}.questions.parquet and .jsonl with its answers (shared by datasets that
ask the same), resources/datasets/{dataset}/train-{index}-of-{total}.parquet, and its counts below {dataset}.pass_rates/.
"""

# by dataset, and by name: datasets that ask the same share the answers
TAUGHT = teachers.all_of(CONFIG)
TEACHERS = {one.name: one for one in TAUGHT.values()}
ASKED_OF = {name: one.generation for name, one in TEACHERS.items()}
FOREIGN = [name for name, one in TEACHERS.items() if one.experiment is None]


rule fetch_teacher_questions:
    input:
        lambda w: artefacts.PROBLEMS.at(problems=TEACHERS[w.teacher].problems),
    output:
        questions=artefacts.TEACHER_QUESTIONS.path,
        counts=artefacts.TEACHER_COUNTS.path,
    log:
        artefacts.TEACHER_QUESTIONS.log,
    benchmark:
        artefacts.TEACHER_QUESTIONS.benchmark
    wildcard_constraints:
        teacher=either(TEACHERS),
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("fetch_teacher_questions"),
        most=lambda w: commandline.words({"most": TEACHERS[w.teacher].most}),
    shell:
        "{params.command:q} --problems {input:q} --part {wildcards.index:q} --parts {wildcards.total:q} {params.most:q}"
        " --output {output.questions:q} --counts {output.counts:q} --log {log:q}"


rule generate_teacher_answers:
    input:
        weights=lambda w: artefacts.tuned_weights(TEACHERS[w.teacher].experiment).path,
        # config.json and the tokenizer
        model=lambda w: artefacts.rotated_model(TEACHERS[w.teacher].experiment),
        questions=artefacts.TEACHER_QUESTIONS.path,
    output:
        artefacts.TEACHER_ANSWERS.path,
    log:
        artefacts.TEACHER_ANSWERS.log,
    benchmark:
        artefacts.TEACHER_ANSWERS.benchmark
    wildcard_constraints:
        teacher=answered(ASKED_OF, served=False),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(TEACHERS[w.teacher].experiment, "generate")
    resources:
        **devices("generate", lambda w: TEACHERS[w.teacher].experiment),
    params:
        **runs("inference", TEMPLATES, KERNELS),
        load=subpath(input.weights, parent=True),
        model=subpath(input.model, parent=True),
        flags=lambda w: commandline.generate(ASKED_OF[w.teacher]),
    shell:
        "{resources.launch}{params.command:q} --load {params.load:q} --tokenizer-name-or-path {params.model:q}"
        " --prompt-file {input.questions:q} {params.flags:q} --output {output:q} --log {log:q}"


# by a server with an experiment's exported weights
rule generate_teacher_answers_served:
    input:
        weights=lambda w: artefacts.EXPORTED.at(experiment=TEACHERS[w.teacher].who),
        questions=artefacts.TEACHER_QUESTIONS.path,
    output:
        artefacts.TEACHER_ANSWERS.path,
    log:
        artefacts.TEACHER_ANSWERS.log,
    benchmark:
        artefacts.TEACHER_ANSWERS.benchmark
    wildcard_constraints:
        teacher=answered(ASKED_OF, served=True, foreign=FOREIGN),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    threads: lambda w: prefix.threads(TEACHERS[w.teacher].experiment, "generate")
    resources:
        **asking(lambda w: TEACHERS[w.teacher].experiment, lambda w: ASKED_OF[w.teacher]),
    params:
        **runs("generate_served", TEMPLATES),
        load=subpath(input.weights, parent=True),
        flags=lambda w: commandline.served(ASKED_OF[w.teacher]),
    shell:
        "{params.command:q} --load {params.load:q} {resources.launch} --prompt-file {input.questions:q}"
        " {params.flags:q} --output {output:q} --log {log:q}"


# by a server whose model is none of ours: its template and its tokenizer are its own
rule generate_teacher_answers_foreign:
    input:
        artefacts.TEACHER_QUESTIONS.path,
    output:
        artefacts.TEACHER_ANSWERS.path,
    log:
        artefacts.TEACHER_ANSWERS.log,
    benchmark:
        artefacts.TEACHER_ANSWERS.benchmark
    wildcard_constraints:
        teacher=either(FOREIGN),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    resources:
        launch=lambda w: server_line.flags(None, TEACHERS[w.teacher].server),
        runtime=lambda w, attempt: attempt * schema.default("hardware.*.runtime"),
    params:
        **runs("generate_served", TEMPLATES),
        flags=lambda w: commandline.served(ASKED_OF[w.teacher]),
    shell:
        "{params.command:q} {resources.launch} --prompt-file {input:q} {params.flags:q} --output {output:q} --log {log:q}"


rule fetch_teacher_shard:
    input:
        questions=lambda w: artefacts.TEACHER_QUESTIONS.at(teacher=TAUGHT[w.dataset].name, **w),
        counts=lambda w: artefacts.TEACHER_COUNTS.at(teacher=TAUGHT[w.dataset].name, **w),
        answers=lambda w: artefacts.TEACHER_ANSWERS.at(teacher=TAUGHT[w.dataset].name, **w),
    output:
        shard=NUMBERED_SHARD.path,
        pass_rates=artefacts.PASS_RATES.at(shard=NUMBERED_SHARD_NAME),
    log:
        NUMBERED_SHARD.log,
    benchmark:
        NUMBERED_SHARD.benchmark
    wildcard_constraints:
        dataset=either(TAUGHT),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    threads: 2
    params:
        **runs("fetch_teacher_shard"),
        how=lambda w: commandline.graded(TAUGHT[w.dataset]),
    shell:
        "{params.command:q} --questions {input.questions:q} --counts {input.counts:q} --answers {input.answers:q}"
        " {params.how:q} --workers {threads:q} --output {output.shard:q} --pass-rates {output.pass_rates:q} --log {log:q}"
