#!/usr/bin/env bash
# Fuzzes every fuzz test for a while: FUZZTIME each, 20s by default.
cd "$(dirname "$0")/.."
. scripts/lib.sh

git ls-files -z --cached --others --exclude-standard '*_test.go' | xargs -0r grep -lE '^func Fuzz' | while read -r file; do
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$file"); do
    say "$target in $(dirname "$file")"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 100x "./$(dirname "$file")" </dev/null
  done
done
