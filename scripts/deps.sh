#!/usr/bin/env bash
# Installs what Cove's building and testing need and this machine lacks, from
# Debian's packages, and sees to it that a Docker daemon runs. It does nothing,
# quickly, where all is there.
cd "$(dirname "$0")/.."
. scripts/lib.sh

log=.cache/dockerd.log

docker_answers() { as_root timeout 10 docker version >/dev/null 2>&1 </dev/null; }

# start_docker starts the daemon by systemd, or by hand where there is none.
start_docker() {
  docker_answers && return 0
  if [ -d /run/systemd/system ]; then
    say "starting Docker by systemd"
    as_root systemctl enable --now docker >&2 || fail "systemd could not start Docker: see 'journalctl -u docker'"
  else
    say "starting dockerd (log: $log, pid: /var/run/docker.pid)"
    mkdir -p .cache
    # A pid file that a killed daemon left keeps the next one from starting.
    if [ -e /var/run/docker.pid ] && ! grep -qs dockerd "/proc/$(cat /var/run/docker.pid)/comm"; then
      as_root rm -f /var/run/docker.pid
    fi
    as_root setsid --fork dockerd >"$log" 2>&1 </dev/null
  fi
  for _ in $(seq 120); do
    docker_answers && return 0
    sleep 0.5
  done
  [ ! -e "$log" ] || tail -n 20 "$log" >&2
  fail "the Docker daemon does not answer after a minute"
}

command -v go >/dev/null || fail "Go is missing: install Go 1.26 or newer from your distribution or go.dev"
command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer"
PATH=$PATH:/usr/sbin:/sbin
install_missing <<'LIST'
ca-certificates /etc/ssl/certs/ca-certificates.crt
curl curl
docker.io dockerd
gcc gcc
git git
iptables iptables
libc6-dev /usr/include/stdlib.h
debian-archive-keyring /usr/share/keyrings/debian-archive-keyring.gpg
mmdebstrap mmdebstrap
mount mount
LIST
start_docker
