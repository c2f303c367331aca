"""What jobs on devices and jobs that ask a server ask of a scheduler, and how they are launched there."""


def devices(stage, experiment=lambda w: EXPERIMENTS[w.experiment], engine="mindspore"):
    """Resources for a job on devices: what a scheduler is asked for, and how its command is launched there.

    `stage` is `train` or `generate`. The launch is no param: another port or time-out changes no result.
    MindSpeed-LLM's commands launch by themselves: they get the flags alone. Both stages resume: a killed attempt has
    saved what it had, and the next one gets more time to go on.
    """

    def asked(name):
        return lambda w: prefix.resources(experiment(w), stage, engine)[name]

    line = {
        "mindspore": lambda w: prefix.line(experiment(w), stage, python("launch")),
        "mindspeed-llm": lambda w: prefix.flags(experiment(w), stage, engine),
    }
    # MindSpeed-LLM's ranks load to answer as they do to train
    like = "train" if engine == "mindspeed-llm" or stage == "train" else "generate_tuned_answers"
    return {name: asked(name) for name in prefix.RESOURCES} | {
        "launch": line[engine],
        "runtime": lambda w, attempt: attempt * experiment(w).hardware.runtime,
        "mem_mb": lambda w: estimate.megabytes(CONFIG, experiment(w).name, like),
    }


def asking(experiment, generation):
    """Resources for a job that asks a server, which it may start on the devices of its node."""

    def of(name):
        return lambda w: server_line.resources(experiment(w), generation(w).server)[name]

    own = {name: of(name) for name in prefix.RESOURCES}
    return (
        devices("generate", experiment)
        | own
        | {"launch": lambda w: server_line.flags(experiment(w), generation(w).server)}
    )


def answered(answering, served, foreign=()):
    """A wildcard constraint: names of what a server answers, or of what the built-in engine does.

    `answering` has a Generation for each name; those of `foreign` are left out.
    """
    return either(
        name for name, one in answering.items() if bool(one.server) is served and name not in foreign
    )
