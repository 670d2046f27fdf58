# muster. Everything a person needs: make demo, make test. CI runs check and test.
SHELL   := /bin/bash -o pipefail
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"
ROOMS   := cmd images inventory provisioner pxe redfish

.PHONY: build lab demo test bench check fuzz clean

build: ## the three programs, static, into build/
	@mkdir -p build
	$(GOBUILD) -o build/muster ./cmd/muster
	$(GOBUILD) -o build/scout ./cmd/scout
	$(GOBUILD) -o build/lab ./cmd/lab

lab: ## installs and builds what the lab needs; quick when nothing is missing
	@bash provisioner/lab/setup.sh

demo: lab build ## seven virtual machines, from power-on to their verdict
	@exec build/lab demo

test: lab build ## every test; as root none may be skipped
	go test -race -json -timeout 40m ./... | build/lab report

bench: lab build ## time per stage, and what muster adds
	@exec build/lab bench

check: ## what needs no lab: format, vet, staticcheck, both architectures
	@test -z "$$(gofmt -l $(ROOMS))" || { gofmt -l $(ROOMS); exit 1; }
	go vet ./...
	go tool staticcheck ./...
	CGO_ENABLED=0 GOARCH=arm64 go build -o /dev/null ./cmd/scout
	CGO_ENABLED=0 GOARCH=arm64 go build -o /dev/null ./cmd/muster

fuzz: ## each fuzz target for a while: make fuzz TIME=1m
	@for p in $$(grep -rl '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -rhoP '^func \KFuzz\w+' $$p/*_test.go); do go test -timeout 30m -fuzz "^$$f$$" -fuzzminimizetime 1x -fuzztime $${TIME:-30s} $$p || exit 1; done; done

clean:
	rm -rf build
