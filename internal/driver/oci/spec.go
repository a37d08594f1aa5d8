package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
)

func bundleOf(o Options, id string) string { return filepath.Join(o.RunDir, "bundle", id) }

// shmSize bounds /dev/shm, which counts as the sandbox's memory like /tmp.
const shmSize = 64 * cove.MiB

// writeConfig writes the bundle's config.json. It holds no secret: a
// function's variables travel by the runtime protocol.
func (d *Driver) writeConfig(s *sandbox, spec driver.Spec) error {
	c, err := d.config(s, spec)
	if err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.bundleDir(spec.ID), "config.json"), data, 0o600)
}

// config is the OCI configuration of a sandbox: nothing writable but /tmp and
// /dev/shm, an unprivileged user without any capability, namespaces of its own.
func (d *Driver) config(s *sandbox, spec driver.Spec) (*specs.Spec, error) {
	files, err := fileLimit()
	if err != nil {
		return nil, err
	}
	c := &specs.Spec{
		Version: "1.0.2",
		Root:    &specs.Root{Path: spec.Image.Root, Readonly: true},
		// The id of a sandbox is nothing that a function should know.
		Hostname: "cove",
		Process: &specs.Process{
			User:            specs.User{UID: driver.UID, GID: driver.GID},
			Args:            spec.Command,
			Env:             spec.Env,
			Cwd:             "/",
			NoNewPrivileges: true,
			// Empty sets, not absent ones.
			Capabilities: &specs.LinuxCapabilities{},
			Rlimits: []specs.POSIXRlimit{
				{Type: "RLIMIT_NOFILE", Soft: files, Hard: files},
				{Type: "RLIMIT_CORE"},
			},
		},
		Mounts: mounts(s.box.Dir(), spec),
		Linux: &specs.Linux{
			CgroupsPath: filepath.Join(s.group.Parent(), "run"),
			// The limits are the parent group's; here there is only the wish
			// that no device is used but the ones every container has.
			Resources: &specs.LinuxResources{
				Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
			},
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
				"/sys/devices/virtual/powercap", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	network := specs.LinuxNamespace{Type: specs.NetworkNamespace}
	if s.network != nil {
		network.Path = s.network.NamespacePath()
		c.Mounts = append(c.Mounts, bind(s.network.ResolvConf(), "/etc/resolv.conf"))
	}
	c.Linux.Namespaces = append(c.Linux.Namespaces, network)
	return c, d.flavour.adapt(c, spec)
}

func mounts(box string, spec driver.Spec) []specs.Mount {
	tmpfs := func(at string, size cove.ByteSize, options ...string) specs.Mount {
		return specs.Mount{
			Destination: at, Type: "tmpfs", Source: "tmpfs",
			Options: append(options, fmt.Sprintf("size=%d", int64(size))),
		}
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		tmpfs("/dev", 64*cove.KiB, "nosuid", "strictatime", "mode=755"),
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		tmpfs("/dev/shm", shmSize, "nosuid", "noexec", "nodev", "mode=1777"),
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		tmpfs("/tmp", max(spec.Limits.Tmp, cove.KiB), "nosuid", "nodev", "mode=1777"),
		bind(spec.ShimDir, driver.ShimDir),
		// A slave: what Box.Mount adds on the host later appears inside, and
		// nothing goes the other way.
		{Destination: driver.BoxDir, Type: "bind", Source: box, Options: []string{"rbind", "rslave", "ro", "nosuid", "nodev", "noexec"}},
	}
}

func bind(source, target string) specs.Mount {
	return specs.Mount{
		Destination: target, Type: "bind", Source: source,
		Options: []string{"bind", "rprivate", "ro", "nosuid", "nodev"},
	}
}

// maxFiles is how many files a process inside may have open.
const maxFiles = 65536

// fileLimit is maxFiles, or what this process itself may have: raising it
// needs a right that root in a container lacks.
func fileLimit() (uint64, error) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		return 0, err
	}
	return min(maxFiles, own.Max), nil
}

// adaptRunc adds what gVisor has no need of, being a kernel of its own: the
// filter of system calls.
func adaptRunc(c *specs.Spec, _ driver.Spec) error {
	filter, err := seccomp.GetDefaultProfile(c)
	if err != nil {
		return fmt.Errorf("make the default seccomp filter: %w", err)
	}
	if filter == nil {
		return errors.New("there is no default seccomp filter for " + runtime.GOARCH)
	}
	c.Linux.Seccomp = filter
	return nil
}
