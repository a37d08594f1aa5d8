package oci

import (
	"strings"

	"github.com/covefn/cove/internal/driver"
)

// mended is in the version of a runsc that stands being frozen again and again.
//
// gVisor keeps one thread of every process in a notification of its filter of
// system calls, and freezing takes that back: the kernel queues another one for
// it, but goes on to count both. Once a sandbox was frozen twice with no system
// call of that thread in between, the next one reads the surplus (ENOENT), which
// an unmended gVisor takes for the end of the process: the function dies in a
// request. See ADR 20 and scripts/runsc.sh.
const mended = "+cove"

func isMended(version string) bool { return strings.Contains(version, mended) }

// steady is a sandbox that must not be frozen but for good.
type steady struct {
	driver.Sandbox
	driver.Mounter
	driver.Resizer
	driver.ProcessLister
}

// pauses says whether the runtime's sandboxes can be frozen and go on.
func (d *Driver) pauses() bool {
	if d.flavour.pauses == nil {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flavour.pauses(d.version)
}
