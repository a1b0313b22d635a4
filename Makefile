# make demo    set up .venv, run the embedded demo through every stage, print its scores and where the page is
# make demo-invseg  the same scenes as label maps, by InvSeg and by what it starts from
# make picture draw the README's picture anew, from scenes run through every stage
# make test    set up .venv, run the tests, on up to four cores
# make test-app the tests of `anyword app`: Gradio comes into .venv, which holds Pillow below 13
# make test-slurm  the workflow on a SLURM cluster that it sets up on this machine (Debian, as root)
# make soak    kill a run at a hundred moments and see that nothing is lost (KILLS=100)
# make lint    style, types, workflow
# make train   train the embedded models anew (TREEBANK=folder of a Universal Dependencies English treebank)
# make bench   seconds and memory: of the demo by stage, run afresh, and of scoring a large dataset

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || echo python3)
BIN := .venv/bin
INSTALLED := .venv/.installed
CORES ?= 2
SNAKEMAKE := $(BIN)/snakemake --profile workflow/profiles/local --cores $(CORES)

.PHONY: demo demo-invseg picture test test-app test-slurm soak lint train bench

demo: $(INSTALLED)
	@echo "6 drawn scenes through every stage, by two parsers: some minutes on $(CORES) cores; --quiet, logs in logs/ ..."
	@$(SNAKEMAKE) --quiet rules host
	@$(BIN)/anyword results
	@echo "IoU: shared pixels of mask and truth over the pixels of either; mIoU: its mean over phrases, 1 is perfect."
	@echo "Two experiments: 'truth' is told the phrases, 'spacy' finds them in the sentence; all else they share."
	@echo "pointing: how often a noun's map is highest inside its object. Open a page above in a browser to see why."

demo-invseg: $(INSTALLED)
	@$(SNAKEMAKE) --quiet rules host --config 'targets=["invseg","diffusion-baseline"]'
	@$(BIN)/anyword results

picture: $(INSTALLED)
	$(BIN)/anyword study picture --cores $(CORES)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-app: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[app]'
	$(BIN)/python -m pytest tests/test_app.py

test-slurm: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[slurm]'
	ANYWORD_SLURM=1 timeout -k 10 3000 $(BIN)/python -m pytest tests/slurm

soak: $(INSTALLED)
	KILLS=$(or $(KILLS),100) $(BIN)/python -m pytest tests/test_soak.py

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

train: $(INSTALLED)
	$(BIN)/anyword world train $(if $(TREEBANK),--treebank $(TREEBANK))

bench: $(INSTALLED)
	$(BIN)/python benchmarks/demo.py
	$(BIN)/python benchmarks/score.py
	$(BIN)/python benchmarks/inversion.py
	$(BIN)/python benchmarks/invseg.py
	$(BIN)/anyword study batches --json benchmarks/results.json

# One environment for everything, test tools included; the stamp makes the second time instant.
$(INSTALLED): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what pyproject.toml lists into .venv (a few GB, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
