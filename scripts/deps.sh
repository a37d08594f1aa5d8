#!/usr/bin/env bash
# Installs what Cove's building and testing need and this machine lacks, from
# Debian's packages, and sees to it that a Docker daemon runs. It does nothing,
# quickly, where all is there.
cd "$(dirname "$0")/.."
. scripts/lib.sh

log=.cache/dockerd.log

# install_missing installs the packages whose file or program is not there.
install_missing() {
  local missing=()
  while read -r package what; do
    case $what in
      /*) [ -e "$what" ] || missing+=("$package") ;;
      *) command -v "$what" >/dev/null || missing+=("$package") ;;
    esac
  done <<'LIST'
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
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "these are missing and there is no apt-get to install them: ${missing[*]}"
  say "installing ${missing[*]}"
  apt_install "${missing[@]}" 2>/dev/null && return 0
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
  apt_install "${missing[@]}" || fail "apt-get could not install ${missing[*]}; its words are above"
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Dpkg::Lock::Timeout=300 "$@" >&2 </dev/null
}

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
install_missing
start_docker
