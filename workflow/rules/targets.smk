"""The guide's six scripts as targets: `snakemake --cores all finetune` goes as far as its name says."""


rule tokenize:
    input:
        [tokenized(name) for name in EXPERIMENTS],


rule hf2mcore:
    input:
        [train_weights(name) for name in EXPERIMENTS],


rule finetune:
    input:
        collect("results/experiments/{experiment}/train/done.json", experiment=EXPERIMENTS),


rule mcore2hf:
    input:
        collect("results/experiments/{experiment}/hf/manifest.json", experiment=EXPERIMENTS),


rule generate_base:
    input:
        [f"{base_answers(name)}.jsonl" for name in EXPERIMENTS],


rule generate_tuned:
    input:
        collect("results/experiments/{experiment}/tuned.jsonl", experiment=EXPERIMENTS),
