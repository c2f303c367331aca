"""Convert weights between Hugging Face directories and MCore checkpoints, and prove it.

Outputs: results/checkpoints/{model}/{layout}/manifest.json, {layout}.proof.json beside that directory,
results/checkpoints/{model}/{layout}-to-{target}/manifest.json, results/experiments/{experiment}/hf/manifest.json.
"""

LAYOUTS = {one.name: one for e in EXPERIMENTS.values() for one in (e.layout, e.train_layout)}


def layout_flags(layout):
    settings = {
        "target_tensor_parallel_size": layout.tensor_parallel_size,
        "target_pipeline_parallel_size": layout.pipeline_parallel_size,
        "params_dtype": layout.params_dtype,
    }
    if layout.num_layer_list:
        settings["num_layer_list"] = ",".join(map(str, layout.num_layer_list))
    return flags(settings)


def train_weights(experiment):
    """The MCore checkpoint that training starts from: resharded where its layout differs."""
    e = EXPERIMENTS[experiment]
    steps = e.layout.name if e.train_layout == e.layout else f"{e.layout.name}-to-{e.train_layout.name}"
    return f"results/checkpoints/{e.model}/{steps}/manifest.json"


rule convert_hf_to_mcore:
    input:
        "resources/models/{model}/manifest.json",
    output:
        "results/checkpoints/{model}/{layout}/manifest.json",
    log:
        "logs/checkpoints/{model}/{layout}.log",
    benchmark:
        "benchmarks/results/checkpoints/{model}/{layout}.tsv"
    wildcard_constraints:
        layout="|".join(map(re.escape, LAYOUTS)),
    params:
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: layout_flags(LAYOUTS[w.layout]),
        code=code("convert_ckpt"),
    shell:
        "{PYTHON} {SCRIPTS}/convert_ckpt.py --use-mcore-models --model-type GPT --load-model-type hf"
        " --save-model-type mg --model-type-hf llama2 {params.layout} --load-dir {params.load}"
        " --save-dir {params.save} --tokenizer-model {params.load}/tokenizer.json --log {log}"


rule prove_round_trip:
    input:
        hf="resources/models/{model}/manifest.json",
        mcore="results/checkpoints/{model}/{layout}/manifest.json",
    output:
        "results/checkpoints/{model}/{layout}.proof.json",
    log:
        "logs/checkpoints/{model}/{layout}.proof.log",
    benchmark:
        "benchmarks/results/checkpoints/{model}/{layout}.proof.tsv"
    wildcard_constraints:
        layout="|".join(map(re.escape, LAYOUTS)),
    params:
        hf=subpath(input.hf, parent=True),
        mcore=subpath(input.mcore, parent=True),
        code=code("verify_ckpt"),
    shell:
        "{PYTHON} {SCRIPTS}/verify_ckpt.py --hf-dir {params.hf} --mcore-dir {params.mcore} --output {output} --log {log}"


rule reshard:
    input:
        "results/checkpoints/{model}/{layout}/manifest.json",
    output:
        "results/checkpoints/{model}/{layout}-to-{target}/manifest.json",
    log:
        "logs/checkpoints/{model}/{layout}-to-{target}.log",
    benchmark:
        "benchmarks/results/checkpoints/{model}/{layout}-to-{target}.tsv"
    wildcard_constraints:
        layout="|".join(map(re.escape, LAYOUTS)),
        target="|".join(map(re.escape, LAYOUTS)),
    params:
        load=subpath(input[0], parent=True),
        save=subpath(output[0], parent=True),
        layout=lambda w: layout_flags(LAYOUTS[w.target]),
        code=code("convert_ckpt"),
    shell:
        "{PYTHON} {SCRIPTS}/convert_ckpt.py --use-mcore-models --model-type GPT --load-model-type mg"
        " --save-model-type mg --model-type-hf llama2 {params.layout} --load-dir {params.load}"
        " --save-dir {params.save} --log {log}"


rule convert_mcore_to_hf:
    input:
        done="results/experiments/{experiment}/train/done.json",
        model=lambda w: f"resources/models/{EXPERIMENTS[w.experiment].model}/manifest.json",
    output:
        "results/experiments/{experiment}/hf/manifest.json",
    log:
        "logs/{experiment}/mcore2hf.log",
    benchmark:
        "benchmarks/results/{experiment}/mcore2hf.tsv"
    params:
        load=subpath(input.done, parent=True),
        original=subpath(input.model, parent=True),
        save=subpath(output[0], parent=True),
        code=code("convert_ckpt"),
    shell:
        "{PYTHON} {SCRIPTS}/convert_ckpt.py --use-mcore-models --model-type GPT --load-model-type mg"
        " --save-model-type hf --model-type-hf llama2 --load-dir {params.load} --hf-cfg-dir {params.original}"
        " --save-dir {params.save} --log {log}"
