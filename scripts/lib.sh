# What the scripts share; read by them with `.`, from the module's root.

set -euo pipefail

# say tells what goes on, fail what went wrong; both leave stdout alone.
say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# as_root runs a command with the rights it needs; "${root[@]}" before a command
# does the same without a shell in between, for what runs in the background.
root=()
if [ "$(id -u)" -ne 0 ]; then
  root=(sudo --preserve-env=PATH,COVE_IMAGES,DOCKER_HOST,http_proxy,https_proxy,no_proxy)
  command -v sudo >/dev/null || root=(no_sudo)
fi
no_sudo() { fail "this needs root and there is no sudo: run it as root"; }
as_root() { "${root[@]}" "$@"; }

# answers says whether something accepts connections on a host's port.
answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# install_missing reads lines "package program" or "package /file", and installs
# from Debian the packages whose program or file is not there.
install_missing() {
  local missing=()
  while read -r package what; do
    case $what in
      /*) [ -e "$what" ] || missing+=("$package") ;;
      *) command -v "$what" >/dev/null || missing+=("$package") ;;
    esac
  done
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
