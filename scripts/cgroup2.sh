#!/usr/bin/env bash
# Runs the tests of control groups and of the drivers on a kernel whose control
# groups are of version 2 alone, whatever this machine's are: a Debian kernel in
# an emulated machine without a network. Its root is that of the Python image,
# with the compiled tests in it. CGROUP2_TIMEOUT bounds the machine's life, in seconds.
cd "$(dirname "$0")/.."
. scripts/lib.sh

PATH=$PATH:/usr/sbin:/sbin
images=${COVE_IMAGES:-$PWD/.cache/images}
runsc=${COVE_RUNSC:-$PWD/bin/runsc}
cache=$PWD/.cache/cgroup2
console=$cache/console.log

[ "$(uname -m)" = x86_64 ] || fail "the emulated machine is an x86_64 one, and so must this one be"
[ -x "$runsc" ] || fail "runsc is missing: run 'make runsc'"
[ -d "$images/python3.13" ] || fail "the Python image is missing: run 'make images'"
roots=("$images"/python3.13/root-*)

install_missing <<'LIST'
e2fsprogs mkfs.ext4
qemu-system-x86 qemu-system-x86_64
runc runc
LIST

# fetch_packages unpacks the kernel, and the busybox that mounts and powers
# off; it installs neither.
fetch_packages() {
  local kernel
  rm -rf "$cache/packages"
  mkdir -p "$cache/packages"
  kernel=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }')
  [ -n "$kernel" ] || return 1
  (cd "$cache/packages" && apt-get download -qq -o APT::Sandbox::User=root "$kernel" busybox-static >&2) || return 1
  for package in "$cache"/packages/*.deb; do
    dpkg-deb -x "$package" "$cache/packages"
  done
  cp "$cache"/packages/boot/vmlinuz-* "$cache/vmlinuz"
  cp "$cache/packages/bin/busybox" "$cache/busybox"
  rm -rf "$cache/packages"
}

if [ ! -e "$cache/vmlinuz" ] || [ ! -e "$cache/busybox" ]; then
  say "fetching a kernel"
  fetch_packages || {
    as_root apt-get update -qq >&2
    fetch_packages || fail "apt-get could not download linux-image-cloud-amd64 and busybox-static"
  }
fi

work=$(mktemp -d "$cache/work.XXXXXX")
trap 'as_root rm -rf "$work"' EXIT
tree=$work/root

say "compiling the tests and the machine's disk"
mkdir -p "$work/tests"
CGO_ENABLED=0 go test -c -tags cgroup2 -o "$work/tests/host.test" ./internal/driver/host
CGO_ENABLED=0 go test -c -o "$work/tests/oci.test" ./internal/driver/oci

as_root cp -a "${roots[0]}" "$tree"
as_root mkdir "$tree/images"
as_root cp -a "$images/python3.13" "$tree/images/"
as_root cp -r "$work/tests" "$tree/tests"
as_root cp "$runsc" "$cache/busybox" "$(command -v runc)" "$tree/usr/bin/"
# runc is this machine's, and so are the libraries that the image lacks.
ldd "$(command -v runc)" | awk '$2 == "=>" { print $3 }' | while read -r library; do
  [ -e "$tree/usr/lib/x86_64-linux-gnu/${library##*/}" ] ||
    as_root cp -L "$library" "$tree/usr/lib/x86_64-linux-gnu/"
done
as_root ln -s busybox "$tree/usr/bin/mount"
as_root install -m 755 scripts/cgroup2-init.sh "$tree/init"
truncate -s 2G "$work/disk"
as_root mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 -d "$tree" "$work/disk"
as_root rm -rf "$tree"

say "running them in an emulated machine (console: $console)"
# The processor is emulated: not every machine with a /dev/kvm has one that works.
# By one thread, and without one instruction: QEMU 7.2 errs now and then where one
# processor changes the code that another runs, and in the flags of cmpxchg16b.
timeout --foreground --kill-after 5 "${CGROUP2_TIMEOUT:-600}" qemu-system-x86_64 -accel tcg,thread=single -cpu max,cx16=off -smp 2 -m 2G \
  -machine q35 -nodefaults -no-user-config -no-reboot -display none -serial stdio \
  -drive "file=$work/disk,if=none,id=disk,format=raw,cache=unsafe" -device nvme,drive=disk,serial=cove \
  -kernel "$cache/vmlinuz" -append "root=/dev/nvme0n1 rw init=/init console=ttyS0 loglevel=3 panic=-1" \
  </dev/null | sed -u 's/\r$//' | tee "$console" >&2 || fail "the emulated machine did not come to its end in time"
grep -qx 'cgroup2: all tests passed' "$console" || fail "tests failed on control groups of version 2; what they said is above"
