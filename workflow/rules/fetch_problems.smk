"""Bring problem sets to this machine, each from its source.

Output: resources/problems/{problems}.parquet.
"""


rule fetch_generated_problems:
    output:
        artefacts.PROBLEMS.path,
    log:
        artefacts.PROBLEMS.log,
    benchmark:
        artefacts.PROBLEMS.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "generator"),
    priority: BEFORE_TRAINING
    conda:
        environment("cpu")
    params:
        **runs("fetch_generated_problems"),
        seed=lambda w: CONFIG.problem_sets[w.problems].source.settings["seed"],
        rows=lambda w: CONFIG.problem_sets[w.problems].source.settings["rows"],
        which=lambda w: source_flags.generated(
            CONFIG.problem_sets[w.problems].source, "problem_sets.*.generator"
        ),
    shell:
        "{params.command:q} --seed {params.seed:q} --rows {params.rows:q} {params.which:q} --output {output:q} --log {log:q}"


rule fetch_problem_files:
    input:
        artefacts.LOCK.at(name="problems/{problems}"),
    output:
        artefacts.PROBLEM_FILES.path,
    log:
        artefacts.PROBLEM_FILES.log,
    benchmark:
        artefacts.PROBLEM_FILES.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub", "url"),
    priority: BEFORE_TRAINING
    retries: 2
    conda:
        environment("cpu")
    resources:
        hubs=lambda w: source_flags.hubs(CONFIG.problem_sets[w.problems].source, CONFIG.offline),
    params:
        **runs("fetch_files"),
        directory=subpath(output[0], parent=True),
    shell:
        "{params.command:q} --lock {input:q} {resources.hubs} --output-dir {params.directory:q} --log {log:q}"


rule fetch_problems:
    input:
        problem_files,
    output:
        problems=artefacts.PROBLEMS.path,
        manifest=artefacts.fetched_manifest(artefacts.PROBLEMS.path),
    log:
        artefacts.PROBLEMS.log,
    benchmark:
        artefacts.PROBLEMS.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub", "url", "path", "wheel"),
    priority: BEFORE_TRAINING
    localrule: True
    conda:
        environment("cpu")
    params:
        **runs("import_problems"),
        files=lambda w: source_flags.problem_files(w.problems, CONFIG.problem_sets[w.problems]),
        stamps=lambda w: [
            stamp(file) for file in source_flags.problem_paths(CONFIG.problem_sets[w.problems].source)
        ],
        # a default that changes must change the line: all are said
        how=lambda w: commandline.words(CONFIG.problem_sets[w.problems].how),
    shell:
        "{params.command:q} {params.files:q} --name {wildcards.problems:q} {params.how:q}"
        " --output {output.problems:q} --log {log:q}"
