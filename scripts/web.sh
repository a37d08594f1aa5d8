#!/usr/bin/env bash
# Builds the console into web/dist, which the binary embeds, where its sources or
# the API's document are newer than what is there. It does nothing, quickly,
# otherwise. With "deps" it only installs the packages.
cd "$(dirname "$0")/.."
. scripts/lib.sh

mkdir -p .cache
exec 9>.cache/web.lock
flock 9

built=web/dist/index.html

install_packages() {
  local marker=web/node_modules/.package-lock.json
  [ ! -e "$marker" ] || [ web/package-lock.json -nt "$marker" ] || return 0
  say "npm ci"
  (cd web && npm ci --no-fund --no-audit --loglevel=error >&2)
  touch "$marker"
}

fresh() {
  [ -e "$built" ] || return 1
  local newer
  newer=$(find web/src web/public web/scripts web/index.html web/package.json web/package-lock.json \
    web/tsconfig.json web/vite.config.ts web/postcss.config.cjs web/openapi-ts.config.ts docs/openapi.yaml \
    -path web/src/api/gen -prune -o -type f -newer "$built" -print -quit)
  [ -z "$newer" ]
}

if [ "${1:-}" = deps ]; then
  install_packages
  exit 0
fi
! fresh || exit 0
install_packages
say "building the console"
# What is edited while the build runs is newer than its beginning, and is built
# the next time.
begun=$(mktemp)
trap 'rm -f "$begun"' EXIT
(cd web && npm run --silent build >&2)
find web/dist -mindepth 1 -maxdepth 1 ! -name placeholder.html -exec rm -rf {} +
rm -rf .cache/web-manifest.json
mv web/.build/.vite/manifest.json .cache/web-manifest.json
rmdir web/.build/.vite
# The page last: it is the sign that all is there.
find web/.build -mindepth 1 -maxdepth 1 ! -name index.html -exec cp -r {} web/dist/ \;
cp web/.build/index.html "$built"
touch -r "$begun" "$built"
rm -rf web/.build
