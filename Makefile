# The two commands a newcomer needs: `make image` and `make test`. Everything else is for those who work on Diorite.
PROFILE ?= server
CARGO   ?= cargo
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')
BUILT    = $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release/diorite
DIORITE  = ./diorite

# Test files that need neither packages nor tools nor a network; builder/cli/tests/tiers.rs holds this list.
UNIT     = advisories errors_audit dependencies imports import inventory tiers doc deploy errors errors_archive errors_compare errors_reopen errors_signing init output target \
           sandbox check simulator download faults fleet login refusals capacity status targets upload versions hostile list golden damage \
           keys policy statements wrong_table capture fortinet forward https links peers record scans segments services verdicts

# Those of them that mostly wait: for the simulator's time, for servers that are slow on purpose, for guests that are silent.
WAITING = deploy faults errors_archive
LAB     = hostile links scans segments services verdicts

.PHONY: image unit unit-waiting unit-lab unit-computing test vm-tests proxmox-test bench corpus variations endurance reference check diorite clean rust

## image: build profiles/$(PROFILE).toml into out/$(PROFILE)/, boot it, check it
image: diorite
	$(DIORITE) image $(PROFILE) --relock

## unit: the tests that need no network, no packages and no tools; two to four minutes on two cores once compiled
unit: rust
	$(CARGO) test --profile unit --workspace --lib --bins $(UNIT:%=--test %) --no-run
	@$(MAKE) --no-print-directory -j3 --output-sync=line unit-waiting unit-lab unit-computing

unit-waiting:
	$(CARGO) test --profile unit --workspace $(WAITING:%=--test %) -- --test-threads=8
unit-lab:
	$(CARGO) test --profile unit --workspace $(LAB:%=--test %)
unit-computing:
	$(CARGO) test --profile unit --workspace --lib --bins $(patsubst %,--test %,$(filter-out $(WAITING) $(LAB),$(UNIT)))

## test: every test but those of `make vm-tests`; Diorite itself fetches the packages and tools they need
test: diorite
	$(CARGO) test --release --workspace --no-run
	@mkdir -p target
	@set -e; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  $(CARGO) test --release --workspace
	@echo "make vm-tests runs what needs more boots: $$(cat builder/cli/tests/vm_more.rs builder/cli/tests/vm_more/*.rs | grep -c '^#\[test\]') tests"

## vm-tests: every test that boots a machine, including those that `make test` leaves out
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

## endurance: one disk verified RUNS times beside LOAD busy threads, and scanned SCANS times against its own rules
endurance: diorite
	$(CARGO) build --release --quiet -p diorite --example bench
	@set -e; mkdir -p target; $(DIORITE) test-material server --relock > target/test-material.env; \
	  set -a; . ./target/test-material.env; set +a; \
	  $(CARGO) run --release --quiet -p diorite --example bench endurance

## corpus: every package of builder/cli/tests/corpus/packages.toml on top of `base`, without a disk; ONLY="mail vpn" for these
##   alone; VERIFY=1 boots the machines of daemons.toml instead, and asks for each daemon
corpus: diorite
	$(CARGO) run --release --quiet -p diorite --example corpus

## variations: the same bytes under changed conditions, as root; ONLY="clock threads" for these alone, OTHER=PATH for another
##   compilation of the program
variations: diorite
	$(CARGO) run --release --quiet -p diorite --example variations

## reference: the pages that are generated from the declarations of the profile language and of the command line
reference: diorite
	@mkdir -p docs/reference
	$(DIORITE) schema > docs/reference/profile.schema.json
	$(DIORITE) schema --markdown > docs/reference/profile.md
	$(DIORITE) schema --scenario > docs/reference/scenario.md
	$(DIORITE) man --markdown > docs/reference/cli.md

## check: format, lints, docs, and what cargo-deny knows today
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release -p diorite --test vm_more -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --release --workspace --no-deps --document-private-items
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	  else echo "cargo-deny is not installed: advisories newer than .ci/advisories.toml are not looked at (\`make test\` judges by that table)"; fi

rust:
	@v=$$(rustc -V 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p'); test "$${v:-0}" -ge 95 || { \
	  echo "Diorite needs Rust 1.95 or newer (rustc -V says: $$(rustc -V 2>&1 | head -n 1)); install it with rustup, https://rustup.rs" >&2; exit 2; }

diorite: rust
	$(CARGO) build --release -p diorite
	ln -sf $(BUILT) diorite

clean:
	rm -rf out
