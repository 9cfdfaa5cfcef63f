# Baton. The two commands to know: `make demo` and `make test`.
# Warnings are errors where CI runs; a developer's half-written line may still build.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
SWIFT_FLAGS := -j $(shell nproc) $(if $(CI),-Xswiftc -warnings-as-errors)
FORMATTED := Sources Tests Examples Fuzz Benchmarks Integrations Package.swift

.PHONY: demo test integrations soak build release dist libbaton docs format lint api fuzz sanitize bench lab lab-down clean

demo: ## move a live connection between processes while you watch
	@scripts/bootstrap.sh demo
	@echo "building (the first time takes a few minutes)"
	@swift build -c release --product baton $(SWIFT_FLAGS) >.build-demo.log 2>&1 || { cat .build-demo.log; exit 1; }
	@.build/release/baton demo

# One test at a time: many run several processes each, and on two cores they would run into each other's time limits.
test: ## every test there is
	@scripts/bootstrap.sh test
	swift build --build-tests $(SWIFT_FLAGS)
	swift test --skip-build --no-parallel 2>&1 | tee .build-test.log || { echo "what failed:"; grep -E '✘|recorded an issue|error:' .build-test.log; exit 1; }
	scripts/fresh_package.sh
	@$(MAKE) --no-print-directory integrations

integrations: ## the packages beneath Integrations, which need more than the library does
	@scripts/bootstrap.sh test
	cd Integrations/BatonHummingbird && timeout 1800 swift build --build-tests $(SWIFT_FLAGS)
	cd Integrations/BatonHummingbird && timeout 600 swift test --skip-build --no-parallel

soak: ## what takes longer: ten thousand workers are killed under load, a thousand connections, ten thousand that come and go
	@scripts/bootstrap.sh test
	swift build --build-tests $(SWIFT_FLAGS)
	BATON_SOAK_DEATHS=10000 swift test --skip-build --no-parallel --filter 'WorkerDeathTests|ResourceTests'

build: ## the debug build
	@scripts/bootstrap.sh build
	swift build $(SWIFT_FLAGS)

release: ## the optimised build
	@scripts/bootstrap.sh build
	swift build -c release $(SWIFT_FLAGS)

dist: ## what is installed: the program, a Debian package, an archive, an image and checksums, in dist
	@scripts/bootstrap.sh dist
	scripts/dist.sh dist

libbaton: ## libbaton.so, its headers and baton.pc for programs in C, to PREFIX (dist unless set)
	@scripts/bootstrap.sh build
	scripts/libbaton.sh $(or $(PREFIX),dist)

format: ## rewrite the sources in the house style
	swift format -i -r --configuration .swift-format $(wildcard $(FORMATTED))

lint: ## fail if a source is not in the house style, or the library lacks something public that the last release had
	swift format lint --strict -r --configuration .swift-format $(wildcard $(FORMATTED))
	@scripts/bootstrap.sh test
	swift build --build-tests $(SWIFT_FLAGS)
	scripts/api.sh

api: ## for a release: writes the public declarations to docs/api
	swift build $(SWIFT_FLAGS)
	scripts/api.sh record

docs: ## the documentation of BatonNIO as web pages, in .build-docs
	swift build $(SWIFT_FLAGS)
	scripts/docs.sh .build-docs

fuzz: ## a short run of every fuzz target (FUZZ_SECONDS each, 20 unless set)
	@scripts/bootstrap.sh build
	scripts/fuzz.sh $(or $(FUZZ_SECONDS),20)

sanitize: ## tests and upgrades under AddressSanitizer, ThreadSanitizer and glibc's checks (SANITIZE="address thread malloc")
	@scripts/bootstrap.sh test
	scripts/sanitize.sh $(SANITIZE)

bench: ## the table of figures; BENCH_JSON=FILE writes them as JSON too
	@scripts/bootstrap.sh bench
	@for product in baton HostMover; do swift build -c release --product $$product $(SWIFT_FLAGS) >.build-bench.log 2>&1 || { cat .build-bench.log; exit 1; }; done
	@cd Benchmarks && { swift build -c release $(SWIFT_FLAGS) >../.build-bench.log 2>&1 || { cat ../.build-bench.log; exit 1; }; } && .build/release/benchmarks $(if $(BENCH_JSON),--json $(abspath $(BENCH_JSON)))

lab: ## network namespaces to move connections between (root)
	@scripts/lab.sh up

lab-down: ## remove them
	@scripts/lab.sh down

clean:
	rm -rf .build dist .build-fuzz .build-asan .build-tsan .build-*.log Benchmarks/.build Integrations/*/.build
