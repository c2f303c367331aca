"""The guide's six scripts as targets: `snakemake --cores all finetune` goes as far as its name says."""


rule tokenize:
    input:
        [artefacts.tokenized(e) for e in EXPERIMENTS.values()],


rule hf2mcore:
    input:
        [artefacts.weights(e) for e in EXPERIMENTS.values()],


rule finetune:
    input:
        collect(
            "results/experiments/{experiment}/{file}.json",
            experiment=EXPERIMENTS,
            file=["checks", "train/done"],
        ),


rule mcore2hf:
    input:
        collect("results/experiments/{experiment}/hf/manifest.json", experiment=EXPERIMENTS),


rule generate_base:
    input:
        [f"{artefacts.base_answers(e)}.jsonl" for e in EXPERIMENTS.values()],


rule generate_tuned:
    input:
        collect(
            "results/experiments/{experiment}/{file}",
            experiment=EXPERIMENTS,
            file=["checks.json", "tuned.jsonl"],
        ),
