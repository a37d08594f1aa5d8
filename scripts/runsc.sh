#!/usr/bin/env bash
# Builds bin/runsc, gVisor's sandbox, at the version that tools/runsc/go.mod pins,
# with three changes:
#
#   1. gVisor takes an ENOENT of SECCOMP_IOCTL_NOTIF_RECV for the end of a process,
#      and a sandbox that was frozen and goes on gets one (ADR 20). See
#      internal/driver/oci/pause.go, which knows a runsc with this change by "+cove"
#      in its version.
#   2. A second after its start a sandbox, and the process that serves its files,
#      give the memory that only starting needed back to the host (ADR 22).
#   3. Go's runtime, as far as it is in runsc, sets up smaller tables of its heap
#      (ADR 28).
cd "$(dirname "$0")/.."
. scripts/lib.sh

say "building runsc; this takes a minute or two, once"
module=gvisor.dev/gvisor
copy=$PWD/.cache/runsc

(cd tools/runsc && go mod download $module)
source=$(cd tools/runsc && go list -m -f '{{.Dir}}' $module)
version=$(cd tools/runsc && go list -m -f '{{.Version}}' $module)
rm -rf "$copy"
mkdir -p "$copy"
cp -r --no-preserve=mode "$source" "$copy/gvisor"
cp tools/runsc/go.mod tools/runsc/go.sum "$copy/"

# change replaces a line of a file of gVisor's or Go's, and fails unless it is there once.
change() {
  local file=$1 before=$2 after=$3
  [ "$(grep -cxF -- "$before" "$copy/$file")" -eq 1 ] || return 1
  before=$before after=$after awk '$0 == ENVIRON["before"] { print ENVIRON["after"]; next } { print }' "$copy/$file" >"$copy/changed"
  mv "$copy/changed" "$copy/$file"
}

# gvisor is a change without which gVisor is not to be built.
gvisor() {
  change "gvisor/$1" "$2" "$3" ||
    fail "$1 of $version has not one line '$2': see whether gVisor has mended it, and what is to be changed otherwise"
}

gvisor pkg/sentry/platform/systrap/syscall_thread_unsafe.go \
  $'\t\tif errno == unix.EINTR && t.subproc.alive() {' \
  $'\t\tif (errno == unix.EINTR || errno == unix.ENOENT) && t.subproc.alive() {'
gvisor runsc/cmd/gofer.go $'\tserver.Wait()' $'\ttime.AfterFunc(time.Second, debug.FreeOSMemory)\n\tserver.Wait()'
gvisor runsc/boot/loader.go $'\t"os"' $'\t"os"\n\tgodebug "runtime/debug"\n\tgotime "time"'
gvisor runsc/boot/loader.go $'\tl.startupTimer.Reached("kernel started")' \
  $'\tl.startupTimer.Reached("kernel started")\n\tgotime.AfterFunc(gotime.Second, godebug.FreeOSMemory)'

# The one file of Go's runtime that is changed; the build takes the copy in its place.
# It is the Go that is installed, maybe a newer one, and without the change all works.
goroot=$(cd tools/runsc && go env GOROOT)
spans=src/runtime/mspanset.go
mkdir -p "$copy/go/${spans%/*}"
cp --no-preserve=mode "$goroot/$spans" "$copy/go/$spans"
printf '{"Replace": {"%s": "%s"}}\n' "$goroot/$spans" "$copy/go/$spans" >"$copy/overlay.json"
change "go/$spans" $'\tspanSetBlockEntries = 512 // 4KB on 64-bit' $'\tspanSetBlockEntries = 32' &&
  change "go/$spans" $'\tspanSetInitSpineCap = 256 // Enough for 1GB heap on 64-bit' $'\tspanSetInitSpineCap = 32' ||
  say "$spans of $(go version) is not as expected: idle sandboxes will hold some 2 MiB more (ADR 28)"

go mod edit -replace "$module=$copy/gvisor" "$copy/go.mod"
mkdir -p bin
(cd tools/runsc && CGO_ENABLED=0 go build -overlay "$copy/overlay.json" -modfile "$copy/go.mod" -trimpath -o "$copy/bin" \
  -ldflags "-s -w -X $module/runsc/version.version=$version+cove" $module/runsc)
mv "$copy/bin" bin/runsc
rm -rf "$copy"
