# CI runs `make test` and `make check`. Every target installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
PROBLEM := pipelines/quickstart.txt
LLAMA_SERVER ?= .live/llama-server
LLAMA_MODEL ?= .live/model.gguf
BUNDLED_MODEL ?= main
PARALLEL ?= -n auto --dist worksteal
# Tests start hundreds of processes, each of which would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check format lint types layers coverage train-test transformers-test oracle-test plot-test browser-test ray-test inspect-test otel-test reasoning-test test-live test-live-small bench bench-demo clean

help:  ## Say what each target does.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|'

run: .venv/run  ## Solve a problem on the bundled model, with 1 sample and with 16.
	@cat $(PROBLEM)
	@printf '\n--- one sample\n'
	@$(BIN)/tts run pipelines/single.yaml --input - < $(PROBLEM)
	@printf '\n--- up to sixteen samples, a vote, and a rule that stops once it is decided\n'
	@$(BIN)/tts run pipelines/quickstart.yaml --input - < $(PROBLEM)

test: .venv/test  ## Run the tests.
	$(BIN)/pytest -q $(PARALLEL)

check: lint types layers train-test transformers-test  ## All that CI checks beside `make test`: format, lint, types, layers, training.

format: .venv/dev  ## Format and fix what can be fixed.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/dev  ## Check format and lint.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev  ## Check types.
	$(BIN)/mypy

layers: .venv/dev  ## Check that nothing imports upwards.
	$(BIN)/lint-imports

coverage: .venv/dev  ## Run the tests and the docs' code, but long trials, with branch coverage.
	$(BIN)/pytest -q $(PARALLEL) -m 'not long' --cov --cov-report=term:skip-covered --cov-fail-under=95

train-test: .venv/torch  ## Run the tests of the training recipe, which need PyTorch.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/backends/reference/training/check_train.py

transformers-test: .venv/torch  ## Run the tests of the backend transformers, which need torch.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/backends/transformers/check_transformers.py

ray-test: .venv/ray  ## Run a bench on two Ray workers, and kill one.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/evals/check_ray.py

inspect-test: .venv/inspect  ## Run pipelines as solvers of Inspect AI, on its mock model.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/evals/check_inspect.py

otel-test: .venv/otel  ## Run the tests of OpenTelemetry spans, with the SDK.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/layers/check_otel.py

oracle-test: .venv/oracle  ## Compare the statistics with those of other libraries.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/stopping/check_oracles.py

reasoning-test: .venv/reasoning  ## Run the tests of the bridge to Reasoning Gym, which need its package.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/evals/tasks/check_reasoning.py

plot-test: .venv/plot  ## Draw plots and write Parquet, which need extras.
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/evals/report/check_plots.py

browser-test: .venv/browser  ## Try the report in a headless Chromium (CHROMIUM=path, by default the system's).
	$(BIN)/pytest -q -o addopts=--import-mode=importlib tests/evals/report/check_browser.py tests/evals/report/check_figures.py

test-live: .venv/torch $(LLAMA_SERVER)  ## Try the bundled model in llama.cpp (built once) and transformers.
	LLAMA_SERVER=$(LLAMA_SERVER) BUNDLED_MODEL=$(BUNDLED_MODEL) \
		$(BIN)/pytest -v -o addopts=--import-mode=importlib \
		tests/live/check_reference_llama.py tests/live/check_reference_transformers.py

test-live-small: .venv/test $(LLAMA_SERVER) $(LLAMA_MODEL)  ## Try the wire on a real server and a model made by others.
	LLAMA_SERVER=$(LLAMA_SERVER) LLAMA_MODEL=$(LLAMA_MODEL) \
		$(BIN)/pytest -v -o addopts=--import-mode=importlib tests/live/check_llama.py

.live/llama-server:
	tests/live/install.sh server .live

.live/model.gguf:
	tests/live/install.sh model .live

bench: .venv/bench  ## Run the benchmarks, the short way.
	$(BIN)/python -m tts.evals.bench.call_overhead --quick
	$(BIN)/python -m tts.evals.bench.layer_costs --quick
	$(BIN)/python -m tts.evals.bench.harness_overhead --quick
	$(BIN)/python -m tts.evals.bench.kill_and_resume --quick
	$(BIN)/python -m tts.evals.bench.dag --quick
	$(BIN)/python -m tts.evals.bench.dag_plans --quick
	$(BIN)/python -m tts.evals.bench.dag_faults --quick
	$(BIN)/python -m tts.evals.bench.soak --quick
	$(BIN)/python -m tts.evals.bench.http_overhead --quick
	$(BIN)/python -m tts.evals.bench.several_draws --quick
	$(BIN)/python -m tts.evals.bench.shared_server --quick
	$(BIN)/python -m tts.evals.bench.reference_engine --quick
	$(BIN)/python -m tts.evals.bench.reference_levels --quick
	$(BIN)/python -m tts.evals.bench.stopping --quick
	$(BIN)/python -m tts.evals.bench.strategies --quick --strategies vote_confidence genselect

bench-demo: .venv/run  ## Compare strategies and stopping rules on the bundled model, and make a report of it.
	$(BIN)/tts bench pipelines/demo-suite.yaml --out build/demo --resume
	$(BIN)/tts report build/demo --out build/demo/report.html

clean:  ## Remove everything that was made.
	rm -rf .venv .live build *.egg-info .coverage .*_cache .hypothesis

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --disable-pip-version-check -e .
	@touch $@

.venv/test: .venv/run
	$(BIN)/pip install -q --disable-pip-version-check -U "pip>=25.1"
	$(BIN)/pip install -q --disable-pip-version-check --group test
	@touch $@

.venv/dev: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check --no-compile --group dev
	@touch $@

# Both extras in one go, and without compiling all of torch: Python compiles what is imported.
.venv/torch: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check --no-compile -e ".[train,transformers]"
	@touch $@

.venv/oracle: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check --group oracle
	@touch $@

.venv/plot: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check -e ".[plot,parquet]"
	@touch $@

.venv/browser: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check --group browser
	@touch $@

.venv/ray: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check -e ".[ray]"
	@touch $@

.venv/inspect: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check -e ".[inspect]"
	@touch $@

.venv/otel: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check -e ".[otel]"
	@touch $@

.venv/reasoning: .venv/test
	$(BIN)/pip install -q --disable-pip-version-check -e ".[reasoning]"
	@touch $@

.venv/bench: .venv/run
	$(BIN)/pip install -q --disable-pip-version-check -e ".[bench]"
	@touch $@
