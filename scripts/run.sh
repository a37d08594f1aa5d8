#!/usr/bin/env bash
# Starts Cove, deploys two example functions and says how to call them. The
# daemon runs until Ctrl-C. `make run` has built everything before.
cd "$(dirname "$0")/.."
. scripts/lib.sh

api=${COVE_API_ADDRESS:-127.0.0.1:7070}
gateway=${COVE_GATEWAY_ADDRESS:-127.0.0.1:8080}
data=${COVE_DATA:-$PWD/.cache/data}

ready() { curl -fsS -o /dev/null --max-time 2 "http://$api/readyz" 2>/dev/null; }

# cove runs the command line as the user that the daemon runs as. The token is read
# where it is used, since ps shows everybody what stands on a command line.
cove() {
  as_root sh -c 'COVE_TOKEN=$(cat "$2") && export COVE_API="$1" COVE_TOKEN && shift 2 && exec bin/cove "$@"' \
    cove "http://$api" "$data/admin.token" "$@"
}

# console prints where the console is, with a link that signs in once.
console() {
  local link
  link=$(cove console 2>/dev/null </dev/null) || fail "no link to the console could be made"
  cat >&2 <<TEXT
Open the console; this link signs you in once, within 10 minutes:

  $link

Another one: ${prefix}bin/cove console

TEXT
}

deploy() {
  local example
  for example in hello-python hello-node; do
    say "deploying examples/$example"
    cove deploy "examples/$example" >&2 </dev/null
  done
  cat >&2 <<TEXT

Cove runs. Call the two functions:

  curl http://$gateway/hello-python/World
  curl http://$gateway/hello-node/World

Look around:

  ${prefix}bin/cove ls
  ${prefix}bin/cove logs hello-python
  ${prefix}bin/cove init --runtime python mine && ${prefix}bin/cove deploy mine

TEXT
}

prefix=
[ "$(id -u)" -eq 0 ] || prefix="sudo "

if ready; then
  # It is ours if it takes our token; the file may be of an earlier run.
  as_root test -e "$data/admin.token" && cove ls >/dev/null 2>&1 </dev/null ||
    fail "another Cove runs on $api: end it, or take other ports: make run API=127.0.0.1:7071 GATEWAY=127.0.0.1:8081"
  say "Cove runs already on $api"
  deploy
  console
  exit 0
fi
for address in "$api" "$gateway"; do
  ! answers "${address%:*}" "${address##*:}" ||
    fail "$address is taken by another program: take other ports: make run API=127.0.0.1:7071 GATEWAY=127.0.0.1:8081"
done

say "starting Cove (data: $data)"
"${root[@]}" bin/cove serve --data "$data" --images "${COVE_IMAGES:-$PWD/.cache/images}" \
  --api "$api" --gateway "$gateway" --runsc "$PWD/bin/runsc" </dev/null &
daemon=$!
# The daemon drains and cleans up when it is asked to end; wait for that.
stop() {
  trap - EXIT
  trap '' INT TERM
  kill -TERM "$daemon" 2>/dev/null || true
  wait "$daemon" || true
}
trap 'stop; exit 130' INT
trap 'stop; exit 143' TERM
trap stop EXIT

for _ in $(seq 300); do
  ready && break
  kill -0 "$daemon" 2>/dev/null || {
    code=0
    wait "$daemon" || code=$?
    fail "the daemon ended with code $code; its words are above"
  }
  sleep 0.2
done
ready || fail "the daemon is not ready after a minute; its words are above"
deploy
console
say "Ctrl-C ends Cove"
wait "$daemon"
