#!/usr/bin/env bash
# Runs the soak for SOAK (10m), at SOAK_RATE requests a second or 90 % of what is
# measured, and then 100,000 calls that all figures must agree on. `make soak` has built what it needs.
cd "$(dirname "$0")/.."
. scripts/lib.sh

export COVE_IMAGES=${COVE_IMAGES:-$PWD/.cache/images}
export COVE_RUNSC=${COVE_RUNSC:-$PWD/bin/runsc}
export SOAK=${SOAK:-10m}
run=()
[ "$(id -u)" -eq 0 ] || run=(-exec "sudo -E")
say "soak for $SOAK"
go test -tags soak -count=1 -timeout 60m -run '^(TestSoak|TestFiguresAgreeExactlyOver100000Calls)$' -v "${run[@]}" ./test/e2e
