package oci

import (
	"os/exec"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

// flavour is what differs between the runtimes.
type flavour struct {
	// name of the binary, and fix is the command that gets it.
	name, fix string
	// overhead is what the runtime itself needs within the sandbox's control
	// group. It is added to the function's memory, so that a function has the
	// same room in every isolation.
	overhead cove.ByteSize
	// threads is what the runtime itself needs of the pids limit: for itself,
	// and for each process or thread of the function.
	threads, perThread int
	// flags are the global ones for a sandbox of spec.
	flags func(o Options, spec driver.Spec) []string
	// adapt finishes the configuration.
	adapt func(c *specs.Spec, spec driver.Spec) error
	// try are the arguments of a run that shows whether the runtime works
	// here, beyond saying its version; nil where there is no cheap one.
	try func(state string) []string
	// pauses says whether sandboxes of this version can be frozen and go on; nil
	// where those of all can.
	pauses func(version string) bool
	// native says that the host's kernel itself serves the system calls inside.
	native bool
	// detach says that a sandbox can do without the process of its runtime; see
	// sandbox.follow.
	detach bool
	// message takes the error out of what the runtime printed.
	message func(output string) string
}

var runsc = flavour{
	name: "runsc", fix: "make runsc",
	overhead: 48 * cove.MiB,
	threads:  64, perThread: 2,
	flags: func(o Options, spec driver.Spec) []string {
		network := "none"
		if spec.Network == cove.NetworkEgress {
			network = "sandbox"
		}
		return []string{
			"--root", o.StateDir,
			// Never the KVM platform: where /dev/kvm is not the real thing it hangs.
			"--platform=systrap",
			"--network=" + network,
			// The shim's sockets are the host's.
			"--host-uds=open",
			// The root is read-only; an overlay would only cost memory.
			"--overlay2=none",
			// The file system is Cove's own and changes only by Box.Mount, which
			// the default of shared access for mounts notices.
			"--file-access=exclusive",
			"--host-settings=ignore",
		}
	},
	adapt:  func(*specs.Spec, driver.Spec) error { return nil },
	detach: true,
	pauses: isMended,
	try: func(state string) []string {
		return []string{
			"--root", state, "--platform=systrap", "--network=none", "--ignore-cgroups", "--host-settings=ignore", "do", "/bin/true",
		}
	},
	message: lastLines,
}

var runc = flavour{
	name: "runc", fix: "apt-get install runc",
	overhead: 1 * cove.MiB,
	threads:  8, perThread: 1,
	flags: func(o Options, _ driver.Spec) []string {
		return []string{"--root", o.StateDir}
	},
	adapt:   adaptRunc,
	native:  true,
	message: lastLines,
}

// command starts a sandbox. Recover knows it by how it goes on after "run".
func (f flavour) command(o Options, spec driver.Spec) *exec.Cmd {
	args := append(f.flags(o, spec), "run", "--bundle", bundleOf(o, spec.ID))
	if f.detachable() {
		args = append(args, "--detach", "--pid-file", pidFile(o, spec.ID))
	}
	return exec.Command(o.Binary, append(args, spec.ID)...)
}

// hostLimits are the limits of the control group for a function's limits.
func (d *Driver) hostLimits(l driver.Limits) driver.Limits {
	if l.Memory > 0 {
		l.Memory += d.flavour.overhead
	}
	if l.PIDs > 0 {
		l.PIDs = l.PIDs*d.flavour.perThread + d.flavour.threads
	}
	return l
}

// lastLines is the end of a runtime's output, on one line.
func lastLines(output string) string {
	lines := strings.FieldsFunc(strings.TrimSpace(output), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}
