// Package oci drives an OCI runtime binary directly, without Docker: runsc for
// the isolation "gvisor" and, with other flags, runc for "runc".
//
// A sandbox is what a runtime process has started, which either stays in the
// foreground as this process's child and ends when the sandbox does (runc), or
// detaches once the sandbox runs (runsc); a control group beneath which the
// runtime puts its own; a Box; and a bundle directory with the configuration.
// Everything that reaches into a running sandbox (stop, pause, limits, usage,
// packages) goes through the kernel and never through the runtime binary, so
// it takes microseconds and works also when the runtime does not answer.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// The isolations this package makes.
const (
	GVisor = "gvisor"
	Runc   = "runc"
)

// Options say what to drive and where it keeps its things. The directories are
// this driver's own: no other driver may use them. They are made when missing
// and may have paths of any length.
type Options struct {
	// Isolation is GVisor or Runc.
	Isolation string
	// Binary is the runtime's path, or a name to be found in PATH. Empty means
	// "runsc" or "runc".
	Binary string
	// StateDir is where the runtime keeps its state (its --root). It should be
	// on a local file system, and is readable by root only.
	StateDir string
	// RunDir is where the sandboxes' directories and bundles go.
	RunDir string
	// Network is how sandboxes with egress are connected.
	Network host.NetworkConfig
	// Log is told of what cannot be returned as an error; nil discards.
	Log *slog.Logger
}

// Driver makes sandboxes with an OCI runtime binary. It implements
// driver.Driver.
type Driver struct {
	options Options
	flavour flavour
	log     *slog.Logger

	// live counts what the sandboxes have running, for Close.
	live sync.WaitGroup
	// owners are those whose sandboxes had egress.
	owners host.NetworkOwners

	mu      sync.Mutex
	groups  *host.Cgroups
	version string // of the binary that worked
	worked  string // the binary's identity when it last ran a sandbox
}

// New checks the options; it looks at nothing on the host yet, so a missing
// binary is the business of Probe and Create.
func New(o Options) (*Driver, error) {
	d := &Driver{options: o, log: o.Log}
	switch o.Isolation {
	case GVisor:
		d.flavour = runsc
	case Runc:
		d.flavour = runc
	default:
		return nil, fmt.Errorf("no OCI runtime is known for the isolation %q", o.Isolation)
	}
	if d.options.Binary == "" {
		d.options.Binary = d.flavour.name
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.log = d.log.With("isolation", o.Isolation)
	for _, dir := range []*string{&d.options.StateDir, &d.options.RunDir} {
		if *dir == "" {
			return nil, errors.New("the state and run directories of the runtime must be given")
		}
		var err error
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Isolation is that of the options.
func (d *Driver) Isolation() string { return d.options.Isolation }

// closeTime bounds the work of Close that is not waiting for sandboxes.
const closeTime = 10 * time.Second

// Close waits for the last of the destroyed sandboxes' processes to be
// reaped, and takes away the firewall rules of networks and what the runtime
// itself keeps while there are sandboxes.
func (d *Driver) Close() error {
	d.live.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return errors.Join(d.owners.Close(ctx), d.removeEmptyNetwork())
}

// removeEmptyNetwork takes away the empty network namespace that runsc leaves
// mounted in its state directory, which could not be removed otherwise.
func (d *Driver) removeEmptyNetwork() error {
	path := filepath.Join(d.options.StateDir, "null-netns")
	// Several may be stacked.
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	for err == nil {
		err = unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	}
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (d *Driver) boxesDir() string           { return filepath.Join(d.options.RunDir, "box") }
func (d *Driver) bundlesDir() string         { return filepath.Join(d.options.RunDir, "bundle") }
func (d *Driver) boxDir(id string) string    { return filepath.Join(d.boxesDir(), id) }
func (d *Driver) bundleDir(id string) string { return filepath.Join(d.bundlesDir(), id) }

// cgroups finds the control groups at the first call that succeeds.
func (d *Driver) cgroups() (*host.Cgroups, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.groups == nil {
		groups, err := host.FindCgroups()
		if err != nil {
			return nil, err
		}
		d.groups = groups
	}
	return d.groups, nil
}

var (
	validID    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	validOwner = regexp.MustCompile(`^[a-z0-9]{1,20}$`)
)

// check refuses a specification that could do harm or that cannot work, before
// anything is made.
func check(spec driver.Spec) error {
	switch {
	case !validID.MatchString(spec.ID):
		return fmt.Errorf("%q is no sandbox id", spec.ID)
	case !validOwner.MatchString(spec.Owner):
		return fmt.Errorf("%q is no owner", spec.Owner)
	case len(spec.Command) == 0 || !filepath.IsAbs(spec.Command[0]):
		return fmt.Errorf("the command %q does not begin with an absolute path", spec.Command)
	case spec.Network != cove.NetworkNone && spec.Network != cove.NetworkEgress && spec.Network != "":
		return fmt.Errorf("no such network: %q", spec.Network)
	}
	// A missing mount point would be made by the runtime, in the image that all
	// sandboxes share.
	for _, dir := range []string{"proc", "dev", "sys", "tmp", driver.BoxDir, driver.ShimDir} {
		if info, err := os.Lstat(filepath.Join(spec.Image.Root, dir)); err != nil || !info.IsDir() {
			return fmt.Errorf("the image %s at %s has no directory /%s: build or import it again (cove image)",
				spec.Image.Ref, spec.Image.Root, filepath.Base(dir))
		}
	}
	if info, err := os.Stat(spec.ShimDir); err != nil || !info.IsDir() {
		return fmt.Errorf("the shim's directory %s is missing", spec.ShimDir)
	}
	return nil
}

// Create implements driver.Driver. Its errors are *cove.Error with what the
// runtime said, but for the end of ctx, which they also are (errors.Is).
func (d *Driver) Create(ctx context.Context, spec driver.Spec) (driver.Sandbox, error) {
	s, err := d.create(ctx, spec)
	if err != nil {
		return nil, &cove.Error{
			Code:    cove.CodeSandboxStartFailed,
			Message: fmt.Sprintf("the %s sandbox did not start: %v", d.options.Isolation, err), Err: err,
		}
	}
	if !d.pauses() {
		return steady{s, s, s, s}, nil
	}
	return s, nil
}

func (d *Driver) create(ctx context.Context, spec driver.Spec) (_ *sandbox, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := check(spec); err != nil {
		return nil, err
	}
	groups, err := d.cgroups()
	if err != nil {
		return nil, err
	}
	defer groups.Hurry()()
	s := newSandbox(d, spec)
	// The control group first: that there is none of this name yet is what
	// makes sure that the clean-up takes nothing from another sandbox.
	if s.group, err = groups.New(spec.Owner, spec.ID, d.hostLimits(spec.Limits)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			// It may take longer than ctx: nothing may be left.
			if cleanErr := s.Destroy(context.WithoutCancel(ctx), "it did not start"); cleanErr != nil {
				d.log.Error("a sandbox that did not start was not removed", "sandbox", spec.ID, "err", cleanErr)
				err = &driver.Remains{Sandbox: s, Err: err}
			}
		}
	}()
	if s.box, err = host.NewBox(d.boxDir(spec.ID)); err != nil {
		return nil, err
	}
	if err := d.prepare(ctx, s, spec); err != nil {
		return nil, err
	}
	if err := s.start(d.flavour.command(d.options, spec), spec.Limits.Background); err != nil {
		return nil, err
	}
	if err := s.awaitShim(ctx); err != nil {
		return nil, err
	}
	if d.flavour.detachable() {
		// Before anybody can tell it to do what ends it: the runtime may not have
		// detached yet when it does.
		if _, err := s.ask(); err != nil {
			d.log.Debug("a sandbox could not be asked yet how it ends", "sandbox", s.id, "err", err)
		}
	}
	return s, nil
}

// prepare makes the bundle and, with egress, the network.
func (d *Driver) prepare(ctx context.Context, s *sandbox, spec driver.Spec) error {
	bundle := d.bundleDir(spec.ID)
	for _, dir := range []string{d.options.StateDir, bundle} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if spec.Network == cove.NetworkEgress {
		d.owners.Add(spec.Owner)
		n, err := host.NewNetwork(ctx, host.NetworkOptions{
			NetworkConfig: d.options.Network, Owner: spec.Owner, ID: spec.ID, Dir: bundle,
		})
		if err != nil {
			return err
		}
		s.network = n
	}
	return d.writeConfig(s, spec)
}

// tail is the end of what a runtime has printed, for an error message.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail is how much of a runtime's output is kept. What a function prints
// does not come this way, but before its shim has connected anything may.
const maxTail = 4 << 10

var _ io.Writer = (*tail)(nil)

// Write keeps the end of p and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-maxTail):]...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
