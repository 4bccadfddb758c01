# The two commands a newcomer needs: `make image` and `make test`. Everything else is for those who work on Diorite.
PROFILE ?= server
CARGO   ?= cargo
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')
BUILT    = $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release/diorite
DIORITE  = ./diorite

.PHONY: image test vm-tests proxmox-test bench endurance reference check diorite clean

## image: build profiles/$(PROFILE).toml into out/$(PROFILE)/, boot it, check it
image: diorite
	$(DIORITE) image $(PROFILE) --relock

## test: every test; the tools and packages they need are brought by Diorite itself
test: diorite
	$(CARGO) test --release --workspace --no-run
	@mkdir -p target
	@set -e; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  $(CARGO) test --release --workspace
	@echo "make vm-tests runs what needs more boots: $$(cat builder/cli/tests/vm_more.rs builder/cli/tests/vm_more/*.rs | grep -c '^#\[test\]') tests"

## vm-tests: every test that boots a machine, those that `make test` leaves out included
vm-tests: diorite
	$(CARGO) test --release -p diorite --test vm --test vm_more --no-run
	@set -e; mkdir -p target; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  $(CARGO) test --release -p diorite --test vm --test vm_more

## proxmox-test: deploy, redeploy and roll back on a real host, TARGET in profiles/targets.toml or your own targets.toml
proxmox-test: diorite
	@test -n "$(TARGET)" || { echo "name a host: make proxmox-test TARGET=school" >&2; exit 2; }
	@set -e; mkdir -p target; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  DIORITE_PROXMOX_TARGET=$(TARGET) $(CARGO) test --release -p diorite --test proxmox_host

## bench: the figures of docs/measurements, raw data included
bench: diorite
	$(CARGO) run --release --quiet -p diorite --example bench

## endurance: one disk verified RUNS times beside LOAD busy threads, and scanned SCANS times against its own word
endurance: diorite
	$(CARGO) build --release --quiet -p diorite --example bench
	@set -e; mkdir -p target; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  $(CARGO) run --release --quiet -p diorite --example bench endurance

## reference: the pages that are generated from the declarations of the profile language
reference: diorite
	@mkdir -p docs/reference
	$(DIORITE) schema > docs/reference/profile.schema.json
	$(DIORITE) schema --markdown > docs/reference/profile.md
	$(DIORITE) schema --scenario > docs/reference/scenario.md

## check: format, lints, docs, and what cargo-deny knows today
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release -p diorite --test vm_more -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --release --workspace --no-deps --document-private-items
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	  else echo "cargo-deny is not installed: advisories newer than .ci/advisories.toml are not looked at (\`make test\` judges by that table)"; fi

diorite:
	$(CARGO) build --release -p diorite
	ln -sf $(BUILT) diorite

clean:
	rm -rf out
