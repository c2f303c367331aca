"""Leave rows of a dataset out of training, by the filters that an experiment asks for.

Outputs: results/datasets/{dataset}/{selection}/left_out.jsonl, a line for each such row, selection.json with counts and samples, and
questions.parquet, which later datasets of a mix are compared with.
"""

# by name: experiments that ask the same of a dataset share it
SELECTED = {one.selection.name: one for one in TOKENIZATIONS.values() if one.selection}


rule select_rows:
    input:
        # read by the command; their content is tracked by their digests
        shards=lambda w: [ancient(path) for path in shard_files.all_shards(CONFIG, SELECTED[w.selection])],
        digests=lambda w: shard_files.all_digests(CONFIG, SELECTED[w.selection]),
        problems=lambda w: [
            artefacts.PROBLEMS.at(problems=one) for one in SELECTED[w.selection].selection.problems
        ],
        tokenizer=lambda w: stage_inputs.counting_model(SELECTED[w.selection]),
        handler=lambda w: shard_files.recognised(CONFIG.datasets[w.dataset]),
        earlier=lambda w: shard_files.earlier(SELECTED[w.selection].selection),
    output:
        rows=artefacts.LEFT_OUT.path,
        card=artefacts.SELECTION.path,
        questions=artefacts.KEPT_QUESTIONS.path,
    log:
        artefacts.LEFT_OUT.log,
    benchmark:
        artefacts.LEFT_OUT.benchmark
    wildcard_constraints:
        selection=either(SELECTED),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    threads: 2
    params:
        **runs("select_rows", TEMPLATES),
        tokenizer=lambda w, input: [
            word for one in input.tokenizer for word in ("--tokenizer-name-or-path", str(Path(one).parent))
        ],
        flags=lambda w: commandline.select(CONFIG.datasets[w.dataset], SELECTED[w.selection].selection),
        handler=lambda w, input: [word for one in input.handler for word in ("--handler-file", one)],
        earlier=lambda w, input: ["--earlier", *input.earlier] if input.earlier else [],
    shell:
        "{params.command:q} --input {input.shards:q} --problems {input.problems:q} {params.tokenizer:q} {params.flags:q}"
        " {params.handler:q} {params.earlier:q} --workers {threads:q} --output {output.rows:q} --card {output.card:q}"
        " --questions {output.questions:q} --log {log:q}"
