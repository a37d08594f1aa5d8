#!/usr/bin/env bash
# Builds bin/runsc, gVisor's sandbox, at the version that tools/runsc/go.mod pins,
# with one line changed: gVisor takes an ENOENT of SECCOMP_IOCTL_NOTIF_RECV for
# the end of a process, and a sandbox that was frozen and goes on gets one. See
# internal/driver/oci/pause.go, which knows a runsc with the change by "+cove" in
# its version.
cd "$(dirname "$0")/.."
. scripts/lib.sh

say "building runsc; this takes a minute or two, once"
module=gvisor.dev/gvisor
copy=$PWD/.cache/runsc
file=gvisor/pkg/sentry/platform/systrap/syscall_thread_unsafe.go
before='if errno == unix.EINTR \&\& t.subproc.alive() {'
after='if (errno == unix.EINTR || errno == unix.ENOENT) \&\& t.subproc.alive() {'

(cd tools/runsc && go mod download $module)
source=$(cd tools/runsc && go list -m -f '{{.Dir}}' $module)
version=$(cd tools/runsc && go list -m -f '{{.Version}}' $module)
rm -rf "$copy"
mkdir -p "$copy"
cp -r --no-preserve=mode "$source" "$copy/gvisor"
cp tools/runsc/go.mod tools/runsc/go.sum "$copy/"
sed -i "s/$before/$after/" "$copy/$file"
cmp -s "$source/${file#gvisor/}" "$copy/$file" &&
  fail "$file of $version has no line '${before//\\/}': see whether gVisor has mended it, and what is to be changed otherwise"
go mod edit -replace "$module=$copy/gvisor" "$copy/go.mod"
mkdir -p bin
(cd tools/runsc && CGO_ENABLED=0 go build -modfile "$copy/go.mod" -trimpath -o "$copy/bin" \
  -ldflags "-s -w -X $module/runsc/version.version=$version+cove" $module/runsc)
mv "$copy/bin" bin/runsc
rm -rf "$copy"
