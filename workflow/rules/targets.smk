"""The guide's six scripts as targets: `snakemake --cores all finetune` goes as far as its name says."""


rule tokenize:
    input:
        goal([artefacts.tokenized(e).path for e in EXPERIMENTS.values()]),


rule hf2mcore:
    input:
        goal([artefacts.weights(e).path for e in EXPERIMENTS.values()]),


rule finetune:
    input:
        goal(collect([artefacts.CHECKS.path, artefacts.TRAINED.path], experiment=EXPERIMENTS)),


rule mcore2hf:
    input:
        goal(collect(artefacts.EXPORTED.path, experiment=EXPERIMENTS)),


rule generate_base:
    input:
        goal([artefacts.base_answers(e, one).path for e in EXPERIMENTS.values() for one in e.asked]),


rule generate_tuned:
    input:
        goal(collect([artefacts.CHECKS.path, artefacts.TUNED_ANSWERS.path], experiment=EXPERIMENTS)),
        [
            path
            for e in EXPERIMENTS.values()
            for path in set_artefacts.of_further_sets(artefacts.TUNED_ANSWERS, e).values()
        ],
