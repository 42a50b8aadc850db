# One environment per checkout, in $(VENV), from requirements/dev.txt. It needs Python 3.11, cargo and make.

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin

# make train and make train-ezkl: what the trainer and the auditor keep, and where this run goes (a run never overwrites another).
STEPS ?= 100
TRAIN ?=
LOGROWS ?= 16
DEMO ?= runs
SRS ?= $(DEMO)/auditor/kzg-$(LOGROWS).srs
KEY ?= $(DEMO)/trainer/log.key
RUN ?= $(DEMO)/$(shell date -u +%Y%m%dT%H%M%SZ)
RUN := $(RUN)

CRATE_FILES := $(shell find crates -name '*.rs' -o -name Cargo.toml)
# Folders of Python code; mypy and ruff refuse a name that isn't there.
PYTHON_CODE := $(wildcard src tests attacks benchmarks docs enclave examples)

COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 $(UPGRADE)
LOCK := $(COMPILE) pyproject.toml requirements/build.in
# OpenSSF model signing brings thirty packages that nothing else here needs: an environment of its own, for tests alone.
MODEL_SIGNING := .cache/model-signing
# Tests side by side, each worker with its share of the cores; a worker takes up to 3 GB. A single process: make test WORKERS=0
WORKERS ?= auto
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist worksteal

export UV_CUSTOM_COMPILE_COMMAND := make lock  (for CPython 3.11 on Linux, x86-64, glibc 2.28 or later)

.PHONY: help install check check-python check-rust test test-all test-rust test-rust-release test-rust-mutants fuzz-rust assurance test-fast test-slow test-long test-model-signing test-tpm test-enclave-tools enclave-image enclave-bill enclave-sign enclave-demo test-dynamodb test-evm test-deps test-deps-go train train-ezkl lock clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 28

install: $(VENV)/.installed ## the environment, everything pinned by hash, and the project in it

$(VENV)/.requirements: requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml Cargo.toml Cargo.lock $(CRATE_FILES)
	# maturin looks for its own program on the PATH
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

check: check-python check-rust ## the static side: ruff, mypy, import-linter, rustfmt, clippy

check-python: install
	$(BIN)/ruff check $(PYTHON_CODE)
	$(BIN)/ruff format --check $(PYTHON_CODE)
	$(BIN)/mypy $(PYTHON_CODE)
	$(BIN)/lint-imports

check-rust:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

test: test-rust test-fast test-slow ## the tests, the fast ones first; warnings are errors

test-all: test test-rust-release test-rust-mutants test-long ## these and the long ones, which take minutes each

test-rust:
	cargo test --locked --workspace

test-rust-release: ## the crates' tests as they are shipped, without assertions and checks of overflow; test-rust has both
	cargo test --locked --workspace --profile test-release

test-rust-mutants: ## a lie for every relation that could be left out or weakened, in each variant; test-rust has those of eight
	cargo test --locked -p zk-autograd-oracle --test mutants -- --include-ignored

# cargo fuzz needs nightly's sanitizers. What can't be had here is skipped, and says so; the seeds are made once.
FUZZ_SECONDS ?= 600
fuzz-rust: ## the native verifier under cargo-fuzz, FUZZ_SECONDS (600) for each of its two targets
	@if ! command -v cargo-fuzz >/dev/null; then echo "skipped: there is no cargo-fuzz here: cargo install cargo-fuzz"; \
	elif ! cargo +nightly --version >/dev/null 2>&1; then echo "skipped: cargo-fuzz needs nightly: rustup toolchain install nightly"; \
	else cd crates/verifier/fuzz && { [ -d corpus/verify ] || cargo run --release --bin seeds -- corpus/verify; } && \
		for target in verify parts; do cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done; fi

assurance: install fuzz-rust ## hours: every bit of a log, every parser fuzzed, 10,000 attacks, mutants; it goes on where it ended
	$(BIN)/python -m tests.assurance

test-fast: install ## tests of less than about two seconds each
	$(PYTEST) -m "not slow and not long"

test-slow: install ## those that take longer
	$(PYTEST) -m "slow and not long"

test-long: install ## those that take minutes: more rounds and examples of what make test has a few of
	$(PYTEST) -m long

test-model-signing: $(MODEL_SIGNING)/.installed ## what the tests against OpenSSF model signing need; without it they are skipped

$(MODEL_SIGNING)/.installed: requirements/model-signing.txt
	$(PYTHON) -m venv --clear $(MODEL_SIGNING)
	$(MODEL_SIGNING)/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

# A software TPM, and what talks to it. tpm2-pytss has no wheels: it is built against the system's libraries, once for all checkouts.
TPM_PACKAGES := swtpm swtpm-tools tpm2-tools libtss2-dev libtss2-tcti-swtpm0 pkg-config
TPM_WHEELS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/zk-autograd-test-deps/tpm2-pytss-3.0.0
test-tpm: install ## a software TPM and tpm2-pytss (as root, with apt-get); without them tests of the anchor tpm are skipped
	@if command -v swtpm >/dev/null && command -v tpm2_activatecredential >/dev/null && pkg-config --exists tss2-esys tss2-fapi; then echo "swtpm is there"; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(TPM_PACKAGES); then echo "swtpm was installed"; \
	else echo "skipped: there is no swtpm, and installing it takes root and apt-get; tests that need a TPM are skipped"; exit 0; fi; \
	if $(BIN)/python -c "import tpm2_pytss" 2>/dev/null; then echo "tpm2-pytss is there"; \
	elif { ls $(TPM_WHEELS)/tpm2_pytss-*.whl >/dev/null 2>&1 || { $(PYTHON) -m venv --clear .cache/tpm && \
		.cache/tpm/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/tpm-tools.txt && \
		.cache/tpm/bin/pip wheel --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation \
			-r requirements/tpm.txt -w $(TPM_WHEELS); }; } && \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(TPM_WHEELS)/tpm2_pytss-*.whl; then echo "tpm2-pytss was installed"; \
	else echo "skipped: tpm2-pytss can't be built here; tests that need a TPM are skipped"; fi

ENCLAVE_PACKAGES := buildah crun mmdebstrap qemu-system-x86 cpio
test-enclave-tools: ## what builds an enclave's image, and boots its parts (as root, with apt-get); without it those tests are skipped
	@if command -v buildah >/dev/null && command -v mmdebstrap >/dev/null && command -v qemu-system-x86_64 >/dev/null && command -v cpio >/dev/null; then \
		echo "buildah, mmdebstrap, qemu and cpio are there"; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $(ENCLAVE_PACKAGES); then echo "they were installed"; \
	else echo "skipped: installing buildah, mmdebstrap, qemu and cpio takes root and apt-get; tests that need them are skipped"; fi

# A folder that isn't there yet: an image is never overwritten.
ENCLAVE_OUT ?= dist/enclave
ENCLAVE_CACHE ?= .cache/enclave
enclave-image: install ## the enclave's image and its measurement, into ENCLAVE_OUT (dist/enclave); minutes (as root, with what test-enclave-tools installs)
	$(BIN)/python -m enclave.build_image --out "$(ENCLAVE_OUT)" --cache "$(ENCLAVE_CACHE)"

enclave-bill: ## the bill of materials of the image in ENCLAVE_OUT (Syft)
	env -u COSIGN_KEY -u COSIGN_PASSWORD PATH="$(CURDIR)/.cache/go-bin:$$PATH" SYFT_CHECK_FOR_APP_UPDATE=false \
		syft --quiet "oci-archive:$(ENCLAVE_OUT)/root.oci" --output "spdx-json=$(ENCLAVE_OUT)/enclave.eif.spdx.json"

# By cosign, with no transparency log: hosts pin the key (docs/enclave.md).
IMAGE_KEY ?= cosign.key
enclave-sign: enclave-bill ## the signature of the image in ENCLAVE_OUT by the key IMAGE_KEY, and its signed bill of materials (cosign, Syft)
	export PATH="$(CURDIR)/.cache/go-bin:$$PATH" EIF="$(ENCLAVE_OUT)/enclave.eif" && \
		cosign signing-config create --out "$$EIF.offline.json" && \
		cosign sign-blob --yes --key "$(IMAGE_KEY)" --signing-config "$$EIF.offline.json" --bundle "$$EIF.sig.json" "$$EIF" && \
		cosign attest-blob --yes --key "$(IMAGE_KEY)" --signing-config "$$EIF.offline.json" --type spdxjson \
			--predicate "$$EIF.spdx.json" --bundle "$$EIF.sbom.json" "$$EIF"

ENCLAVE_DEMO ?= $(DEMO)/enclave-$(shell date -u +%Y%m%dT%H%M%SZ)
enclave-demo: install ## the whole way of a run in an enclave, with an emulated device: the image built (if it isn't there), measured, signed, checked; 100 steps; the verdict
	@[ -e "$(ENCLAVE_OUT)/enclave.eif" ] || $(MAKE) enclave-image
	PATH="$(CURDIR)/.cache/go-bin:$$PATH" $(BIN)/zk-enclave demo --image "$(ENCLAVE_OUT)/enclave.eif" --out "$(ENCLAVE_DEMO)"

# Fetched once for all checkouts.
TEST_DEPS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/zk-autograd-test-deps
DYNAMODB_LOCAL := $(TEST_DEPS)/dynamodb-local-2.6.1

test-dynamodb: ## DynamoDB Local, by Maven; it runs on Java 17
	@if [ -e $(DYNAMODB_LOCAL)/DynamoDBLocal-2.6.1.jar ]; then echo "DynamoDB Local is there"; \
	elif command -v mvn >/dev/null && command -v java >/dev/null && \
		mvn --quiet --batch-mode --file tests/anchor/dynamodb/local/pom.xml dependency:copy-dependencies \
			-DoutputDirectory=$(DYNAMODB_LOCAL).part -DincludeScope=runtime && \
		rm -rf $(DYNAMODB_LOCAL) && mv $(DYNAMODB_LOCAL).part $(DYNAMODB_LOCAL); then echo "DynamoDB Local was fetched"; \
	else echo "skipped: there is no DynamoDB Local, and fetching it takes mvn and Java 17; tests that need it are skipped"; fi

# Programs in Go that long tests run against, in the versions that they were tried with: S3 servers, a witness of others,
# and what signs an enclave's image and lists what is in it. litewitness asks for its keys by the SSH agent's protocol: openssh-client. torchwood v0.10 needs Go 1.27.
GO_TOOLS := \
	filippo.io/torchwood/cmd/litewitness@v0.9.0 \
	github.com/anchore/syft/cmd/syft@v1.57.1 \
	github.com/rclone/rclone@v1.75.1 \
	github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3 \
	github.com/versity/versitygw/cmd/versitygw@v1.8.0

test-deps-go: ## what the long tests against programs in Go need, into .cache/go-bin: minutes; without it they are skipped
	@if command -v go >/dev/null; then for tool in $(GO_TOOLS); do \
		GOBIN="$(abspath .cache/go-bin)" go install $$tool || echo "skipped: $$tool can't be built here; tests that need it are skipped"; done; \
	else echo "skipped: there is no go; tests that need its programs are skipped"; fi

EVM_TOOLS := .cache/evm-tools
test-evm: ## an Ethereum node for tests and a compiler of Solidity, by npm; without them tests of the anchor evm are skipped
	@if ! command -v npm >/dev/null; then echo "skipped: there is no npm here; tests that need anvil or solc are skipped"; \
	elif cmp -s requirements/evm-tools/package-lock.json $(EVM_TOOLS)/installed; then echo "anvil and solc are there"; \
	elif mkdir -p $(EVM_TOOLS) && cp requirements/evm-tools/*.json $(EVM_TOOLS) && \
		npm ci --prefix $(EVM_TOOLS) --ignore-scripts --no-audit --no-fund --silent && \
		cp requirements/evm-tools/package-lock.json $(EVM_TOOLS)/installed; then echo "anvil and solc were installed"; \
	else echo "skipped: npm could not install anvil and solc; tests that need them are skipped"; fi

# A test that needs something that can't be had here is skipped, and says so.
test-deps: test-model-signing test-dynamodb test-evm test-tpm ## what tests need beside the environment: OpenSSF model signing, DynamoDB Local, anvil and solc, a software TPM, Chromium (as root, with apt-get)
	@if command -v chromium >/dev/null; then echo "chromium is there"; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium; then echo "chromium was installed"; \
	else echo "skipped: there is no chromium, and installing it takes root and apt-get; tests that look at a page are skipped"; fi

# Here one machine plays both parts.
train: install $(KEY) ## trains $(STEPS) proved steps, then judges them as an auditor would
	$(BIN)/zk-train --steps $(STEPS) --key-file $(KEY) --out $(RUN) $(TRAIN)
	$(BIN)/zk-verify $(RUN) --require L1 --key $(KEY).pub

# In earnest the auditor makes the SRS, hands it to the trainer, and keeps its digest.
train-ezkl: install $(SRS) $(KEY) ## the same by EZKL, whose proofs an EVM can check, for a model of its size
	$(BIN)/zk-train --prover ezkl --model logistic --data breast-cancer --steps $(STEPS) \
		--srs $(SRS) --key-file $(KEY) --out $(RUN) $(TRAIN)
	$(BIN)/zk-verify $(RUN) --require L1 --key $(KEY).pub \
		--srs-digest "$$($(BIN)/zk-circuit srs --digest $(SRS))"

$(SRS): | $(VENV)/.installed
	@echo "auditor: making the SRS (whoever makes it could forge proofs: that must not be the trainer)"
	$(BIN)/zk-circuit srs --logrows $(LOGROWS) --out $@

$(KEY): | $(VENV)/.installed
	@echo "trainer: making the log key; the auditor pins its public half before the run"
	$(BIN)/zk-key new --key-file $@

lock: install ## requirements/*.txt from pyproject.toml; UPGRADE=--upgrade takes the newest versions in range
	$(LOCK) --all-extras --no-emit-package tpm2-pytss --output-file requirements/dev.txt
	$(LOCK) --extra train --extra ezkl --extra rfc3161 --extra tee --constraints requirements/dev.txt --output-file requirements/train.txt
	$(LOCK) --extra ezkl --extra rfc3161 --extra tee --constraints requirements/dev.txt --output-file requirements/verify.txt
	$(COMPILE) pyproject.toml --extra aws --extra tee --constraints requirements/dev.txt --output-file requirements/enclave.txt
	$(COMPILE) requirements/model-signing.in --output-file requirements/model-signing.txt
	$(COMPILE) requirements/tpm-tools.in --constraints requirements/dev.txt --output-file requirements/tpm-tools.txt
	$(COMPILE) requirements/tpm.in --no-deps --output-file requirements/tpm.txt

clean: ## removes what was built, and the environment; runs/ stays
	rm -rf $(VENV) target .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f src/zk_autograd/_native.*.so
