"""The guide's six scripts as targets: `snakemake --cores all finetune` goes as far as its name says."""


rule tokenize:
    input:
        [artefacts.tokenized(e).path for e in EXPERIMENTS.values()],


rule hf2mcore:
    input:
        [artefacts.weights(e).path for e in EXPERIMENTS.values()],


rule finetune:
    input:
        collect([artefacts.CHECKS.path, artefacts.TRAINED.path], experiment=EXPERIMENTS),


rule mcore2hf:
    input:
        collect(artefacts.EXPORTED.path, experiment=EXPERIMENTS),


rule generate_base:
    input:
        [artefacts.base_answers(e, one).path for e in EXPERIMENTS.values() for one in e.asked],


rule generate_tuned:
    input:
        collect([artefacts.CHECKS.path, artefacts.TUNED_ANSWERS.path], experiment=EXPERIMENTS),
        [
            path
            for e in EXPERIMENTS.values()
            for path in set_artefacts.of_further_sets(artefacts.TUNED_ANSWERS, e).values()
        ],
