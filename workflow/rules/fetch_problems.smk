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
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("fetch_generated_problems"),
        seed=lambda w: CONFIG.problem_sets[w.problems].settings["seed"],
        rows=lambda w: CONFIG.problem_sets[w.problems].settings["rows"],
    shell:
        "{params.command:q} --seed {params.seed:q} --rows {params.rows:q} --output {output:q} --log {log:q}"


rule fetch_champ_problems:
    input:
        wheel=lambda w: ancient(
            artefacts.wheel(
                CONFIG.datasets[CONFIG.problem_sets[w.problems].settings["dataset"]].source.settings
            )
        ),
    output:
        artefacts.PROBLEMS.path,
    log:
        artefacts.PROBLEMS.log,
    benchmark:
        artefacts.PROBLEMS.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "champ"),
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("fetch_champ"),
    shell:
        "{params.command:q} --wheel {input.wheel:q} --kind problems --output {output:q} --log {log:q}"


rule fetch_problem_file:
    input:
        artefacts.LOCK.at(name="problems/{problems}"),
    output:
        file=artefacts.PROBLEM_FILE.path,
        manifest=artefacts.fetched_manifest(artefacts.PROBLEM_FILE.path),
    log:
        artefacts.PROBLEM_FILE.log,
    benchmark:
        artefacts.PROBLEM_FILE.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub"),
    retries: 2
    conda:
        "../../envs/cpu.yaml"
    resources:
        hubs=lambda w: source_flags.hubs(CONFIG.problem_sets[w.problems], CONFIG.offline),
    params:
        **runs("fetch_shard"),
        store=artefacts.store("{problems}"),
        file=lambda w: CONFIG.problem_sets[w.problems].settings["file"],
    shell:
        "{params.command:q} --lock {input:q} --file {params.file:q} {resources.hubs}"
        " --store {params.store:q} --output {output.file:q} --log {log:q}"


rule fetch_problems:
    input:
        artefacts.PROBLEM_FILE.path,
    output:
        artefacts.PROBLEMS.path,
    log:
        artefacts.PROBLEMS.log,
    benchmark:
        artefacts.PROBLEMS.benchmark
    wildcard_constraints:
        problems=of_kind(CONFIG.problem_sets, "hub"),
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        **runs("import_problems"),
        columns=lambda w: canonical(CONFIG.problem_sets[w.problems].settings["columns"]),
        rows=lambda w: commandline.words({"rows": CONFIG.problem_sets[w.problems].settings.get("rows")}),
    shell:
        "{params.command:q} --input {input:q} --name {wildcards.problems:q} --columns {params.columns:q} {params.rows:q}"
        " --output {output:q} --log {log:q}"
