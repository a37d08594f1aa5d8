#!/usr/bin/env bash
# Runs the soak for SOAK (10m), at SOAK_RATE requests a second or 90 % of what is
# measured. `make soak` has built what it needs.
cd "$(dirname "$0")/.."
. scripts/lib.sh

export COVE_IMAGES=${COVE_IMAGES:-$PWD/.cache/images}
export COVE_RUNSC=${COVE_RUNSC:-$PWD/bin/runsc}
export SOAK=${SOAK:-10m}
run=()
[ "$(id -u)" -eq 0 ] || run=(-exec "sudo -E")
say "soak for $SOAK"
go test -tags soak -count=1 -timeout 60m -run '^TestSoak$' -v "${run[@]}" ./test/e2e
