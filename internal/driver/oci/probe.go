package oci

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/covefn/cove/internal/driver"
)

// probePatience bounds a Probe. It has room for a machine that is slow and busy,
// of which it would be wrong to say that it cannot run the isolation.
const probePatience = 10 * time.Second

// Probe implements driver.Driver. It runs the runtime once for real, which
// takes a fraction of a second, and then not again until the binary changes.
func (d *Driver) Probe(ctx context.Context) driver.Report {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	r := driver.Report{
		Isolation: d.options.Isolation,
		Features:  []driver.Feature{driver.FeatureMount, driver.FeatureResize, driver.FeatureEgress},
		Overhead:  d.flavour.overhead,
	}
	unavailable := func(fix, format string, args ...any) driver.Report {
		r.Reason, r.Fix = fmt.Sprintf(format, args...), fix
		return r
	}
	if os.Geteuid() != 0 {
		return unavailable("sudo cove serve", "it mounts and makes control groups, for which Cove has to run as root")
	}
	if _, err := d.cgroups(); err != nil {
		return unavailable("cove doctor", "%v", err)
	}
	path, err := exec.LookPath(d.options.Binary)
	if err != nil {
		return unavailable(d.flavour.fix, "%s was not found: %v", d.flavour.name, err)
	}
	identity, err := identityOf(path)
	if err != nil {
		return unavailable(d.flavour.fix, "%v", err)
	}
	d.mu.Lock()
	version, worked := d.version, d.worked
	d.mu.Unlock()
	if worked != identity {
		if version, err = d.try(ctx, path); err != nil {
			return unavailable(d.flavour.fix, "%s does not work here: %v", d.flavour.name, err)
		}
		d.mu.Lock()
		d.version, d.worked = version, identity
		d.mu.Unlock()
	}
	r.Version, r.Available = version, true
	if d.pauses() {
		r.Features = append(r.Features, driver.FeaturePause)
	} else {
		r.Notes = append(r.Notes, "Idle instances are not paused: after that this "+d.flavour.name+" may lose a function in a request. `"+d.flavour.fix+"` builds one that does not.")
	}
	if expedited, err := os.ReadFile("/sys/kernel/rcu_expedited"); err == nil && strings.TrimSpace(string(expedited)) == "0" {
		r.Notes = append(r.Notes, "Sandboxes start up to a quarter faster with `echo 1 > /sys/kernel/rcu_expedited`, which trades a little processor time for it.")
	}
	return r
}

// identityOf changes when the file does.
func identityOf(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()), nil
}

// try asks the binary for its version and has it run the smallest sandbox:
// with its platform, and a program that is certain to be there, itself.
func (d *Driver) try(ctx context.Context, path string) (string, error) {
	out, err := output(ctx, path, "--version")
	if err != nil {
		return "", err
	}
	version, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
	if d.flavour.try != nil {
		if err := os.MkdirAll(d.options.StateDir, 0o700); err != nil {
			return "", err
		}
		state, err := os.MkdirTemp(d.options.StateDir, "probe-")
		if err != nil {
			return "", err
		}
		defer func() { _ = os.RemoveAll(state) }()
		if _, err := output(ctx, path, d.flavour.try(filepath.Clean(state))...); err != nil {
			return "", err
		}
	}
	return strings.ReplaceAll(version, " version ", " "), nil
}

// output runs a command and says what it printed, in the error too.
func output(ctx context.Context, name string, args ...string) (string, error) {
	var said tail
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[len(args)-1], err, lastLines(said.String()))
	}
	return said.String(), err
}
