# What the scripts share; read by them with `.`, from the module's root.

set -euo pipefail

# say tells what goes on, fail what went wrong; both leave stdout alone.
say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# as_root runs a command with the rights it needs.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=PATH,COVE_DATA,COVE_IMAGES,DOCKER_HOST,http_proxy,https_proxy,no_proxy "$@"
  else
    fail "this needs root and there is no sudo: run it as root"
  fi
}

# answers says whether something accepts connections on a host's port.
answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
