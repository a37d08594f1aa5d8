#!/usr/bin/env bash
# Tests the console: its types and logic, and then the built binary in Debian's
# chromium, with real sandboxes. Screenshots of every view go to web/screenshots.
# `make build runsc images` comes before; names of test files may be given.
cd "$(dirname "$0")/.."
. scripts/lib.sh

install_missing <<'LIST'
chromium chromium
LIST
scripts/web.sh deps
export CHROMIUM=${CHROMIUM:-$(command -v chromium)}
export COVE_IMAGES=${COVE_IMAGES:-$PWD/.cache/images} COVE_RUNSC=${COVE_RUNSC:-$PWD/bin/runsc}
say "console: helper of the tests"
CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o .cache/rollups ./test/console/rollups
cd web
say "console: types"
npm run --silent check
say "console: logic"
npm run --silent test
say "console: in a browser"
as_root env PATH="$PATH" CHROMIUM="$CHROMIUM" COVE_IMAGES="$COVE_IMAGES" COVE_RUNSC="$COVE_RUNSC" npm run --silent e2e -- "$@"
