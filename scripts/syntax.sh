#!/usr/bin/env bash
# Parses every Python and JavaScript file with the languages of the runtime
# images, as the functions will be.
cd "$(dirname "$0")/.."
. scripts/lib.sh

images=${COVE_IMAGES:-$PWD/.cache/images}
root_of() {
  local roots=("$images/$1"/root-*)
  [ -d "${roots[0]}" ] || fail "the image $1 is not built: run 'make images'"
  echo "${roots[0]}"
}
python=$(root_of python3.13)
node=$(root_of node26)
bad=0

while IFS= read -r -d '' file; do
  as_root chroot "$python" /usr/bin/python3.13 -B -c \
    'import sys; compile(sys.stdin.buffer.read(), sys.argv[1], "exec")' "$file" <"$file" || bad=1
done < <(git ls-files -z --cached --others --exclude-standard '*.py')

while IFS= read -r -d '' file; do
  kind=commonjs
  case $file in
    *.mjs) kind=module ;;
    *.js) ! grep -qE '^(import|export) ' "$file" || kind=module ;;
  esac
  as_root chroot "$node" /usr/local/bin/node --input-type=$kind --check - <"$file" >/dev/null || {
    echo "$file: not valid as $kind" >&2
    bad=1
  }
done < <(git ls-files -z --cached --others --exclude-standard '*.js' '*.cjs' '*.mjs')
exit $bad
