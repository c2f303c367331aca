"""Fine-tune an experiment's weights on its tokenized data.

Output: results/experiments/{experiment}/train/done.json, written last. Checkpoints and metrics lie beside it
in a work directory that Snakemake does not know, hence never deletes: a retry resumes there.
"""


def tokenized(experiment):
    e = EXPERIMENTS[experiment]
    return f"results/datasets/{e.dataset}/{e.tokenization.name}/{e.dataset}_manifest.json"


rule train:
    input:
        data=lambda w: tokenized(w.experiment),
        weights=lambda w: train_weights(w.experiment),
        model=lambda w: f"resources/models/{EXPERIMENTS[w.experiment].model}/manifest.json",
    output:
        "results/experiments/{experiment}/train/done.json",
    log:
        "logs/{experiment}/finetune.log",
    benchmark:
        "benchmarks/results/{experiment}/finetune.tsv"
    threads: lambda w: EXPERIMENTS[w.experiment].hardware.threads
    params:
        data=subpath(input.data, strip_suffix="_manifest.json"),
        load=subpath(input.weights, parent=True),
        save=subpath(output[0], parent=True),
        tokenizer=subpath(input.model, parent=True),
        seq_length=lambda w: EXPERIMENTS[w.experiment].seq_length,
        engine_threads=lambda w: EXPERIMENTS[w.experiment].hardware.threads,
        device=lambda w: EXPERIMENTS[w.experiment].hardware.device,
        flags=lambda w: flags(EXPERIMENTS[w.experiment].train),
        code=code("posttrain_gpt"),
    shell:
        "{PYTHON} {SCRIPTS}/posttrain_gpt.py --load {params.load} --save {params.save} --data-path {params.data}"
        " --tokenizer-name-or-path {params.tokenizer} --seq-length {params.seq_length} {params.flags}"
        " --device-target {params.device} --threads {params.engine_threads} --log {log}"
