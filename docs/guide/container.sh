#!/bin/sh
# What a CI job does for one profile in a plain container: no daemon, no loop devices, no KVM. Run it in the project's directory with
# `diorite` in PATH and the store on something that is kept between jobs (DIORITE_STORE).
#
#   container.sh NAME [DATA]     DATA: the Debian security tracker's JSON, a file or a URL; without it nothing is known
#
# It leaves what is worth keeping in evidence/ and ends with the exit code of the first step that fails.
set -eu
name=$1
export DIORITE_ACCEL="${DIORITE_ACCEL:-tcg}"

diorite doctor
diorite plan "$name"     # 3: the lock is not that of the profile
diorite build "$name" --format raw
diorite rebuild "$name"  # 7: other bytes; a second runner that builds and compares says more
diorite verify "$name"   # 4: a check failed

mkdir -p evidence
for file in build.json sbom.spdx.json sbom.cdx.json report.json report.html junit.xml attestations; do
    if [ -e "out/$name/$file" ]; then cp -R "out/$name/$file" evidence/; fi
done

if [ -n "${2:-}" ]; then
    diorite audit "$name" --data "$2" --json > evidence/audit.json || code=$?
    diorite audit "$name" --data "$2" --vex cyclonedx > evidence/vex.cdx.json || true
    exit "${code:-0}"    # 4: something that the release has mended
fi
