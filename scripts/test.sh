#!/usr/bin/env bash
# Checks and tests everything. `make test` has built what the tests need.
cd "$(dirname "$0")/.."
. scripts/lib.sh

PATH=$PATH:/usr/sbin:/sbin
export COVE_IMAGES=${COVE_IMAGES:-$PWD/.cache/images}
export COVE_RUNSC=${COVE_RUNSC:-$PWD/bin/runsc}

say "gofmt"
unformatted=$(git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0r gofmt -l)
[ -z "$unformatted" ] || fail "these files are not formatted; run 'gofmt -w' on them:
$unformatted"

say "go vet"
go vet ./...
go vet -tags cgroup2 ./internal/driver/host
go vet -tags soak ./test/e2e

say "staticcheck"
(cd tools/lint && go build -o ../../.cache/staticcheck honnef.co/go/tools/cmd/staticcheck)
.cache/staticcheck ./...

say "syntax of Python and JavaScript"
scripts/syntax.sh

say "go test -race"
run=()
[ "$(id -u)" -eq 0 ] || run=(-exec "sudo -E")
log=.cache/test.log
if ! go test -race -p "${TEST_P:-2}" -timeout "${TEST_TIMEOUT:-40m}" "${run[@]}" "$@" ./... 2>&1 | tee $log; then
  # Once more what went wrong, below all the logs.
  grep -E '^ *--- FAIL|^ *[a-z0-9_]+_test\.go:[0-9]+: |^(FAIL|panic:|WARNING: DATA RACE)' $log | cut -c1-400 | tail -n 100 >&2
  fail "tests failed; everything they printed is in $log"
fi

scripts/console.sh
