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
