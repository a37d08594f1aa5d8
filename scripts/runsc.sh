#!/usr/bin/env bash
# Builds bin/runsc, gVisor's sandbox, at the version that tools/runsc/go.mod pins,
# with two changes:
#
#   1. gVisor takes an ENOENT of SECCOMP_IOCTL_NOTIF_RECV for the end of a process,
#      and a sandbox that was frozen and goes on gets one (ADR 20). See
#      internal/driver/oci/pause.go, which knows a runsc with this change by "+cove"
#      in its version.
#   2. A second after its start a sandbox, and the process that serves its files,
#      give the memory that only starting needed back to the host (ADR 22).
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

# change replaces a line of a file of gVisor's, which must be there once.
change() {
  local file=$1 before=$2 after=$3
  [ "$(grep -cxF -- "$before" "$copy/gvisor/$file")" -eq 1 ] ||
    fail "$file of $version has not one line '$before': see whether gVisor has mended it, and what is to be changed otherwise"
  before=$before after=$after awk '$0 == ENVIRON["before"] { print ENVIRON["after"]; next } { print }' "$copy/gvisor/$file" >"$copy/changed"
  mv "$copy/changed" "$copy/gvisor/$file"
}

change pkg/sentry/platform/systrap/syscall_thread_unsafe.go \
  $'\t\tif errno == unix.EINTR && t.subproc.alive() {' \
  $'\t\tif (errno == unix.EINTR || errno == unix.ENOENT) && t.subproc.alive() {'
change runsc/cmd/gofer.go $'\tserver.Wait()' $'\ttime.AfterFunc(time.Second, debug.FreeOSMemory)\n\tserver.Wait()'
change runsc/boot/loader.go $'\t"os"' $'\t"os"\n\tgodebug "runtime/debug"\n\tgotime "time"'
change runsc/boot/loader.go $'\tl.startupTimer.Reached("kernel started")' \
  $'\tl.startupTimer.Reached("kernel started")\n\tgotime.AfterFunc(gotime.Second, godebug.FreeOSMemory)'

go mod edit -replace "$module=$copy/gvisor" "$copy/go.mod"
mkdir -p bin
(cd tools/runsc && CGO_ENABLED=0 go build -modfile "$copy/go.mod" -trimpath -o "$copy/bin" \
  -ldflags "-s -w -X $module/runsc/version.version=$version+cove" $module/runsc)
mv "$copy/bin" bin/runsc
rm -rf "$copy"
