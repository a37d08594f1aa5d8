package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// Recover implements driver.Driver. It finds what is left by any trace: a
// control group, a directory, a mount, a bundle, a state file.
func (d *Driver) Recover(_ context.Context, owner string) ([]driver.Sandbox, error) {
	if !validOwner.MatchString(owner) {
		return nil, fmt.Errorf("%q is no owner", owner)
	}
	groups, err := d.cgroups()
	if err != nil {
		return nil, err
	}
	found := map[string]*sandbox{}
	at := func(id string) *sandbox {
		if found[id] == nil {
			found[id] = d.remains(owner, id)
		}
		return found[id]
	}
	boxes, err := host.RecoverBoxes(d.boxesDir())
	if err != nil {
		return nil, err
	}
	for _, b := range boxes {
		at(filepath.Base(b.Dir())).box = b
	}
	bundles, err := os.ReadDir(d.bundlesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, b := range bundles {
		at(b.Name())
	}
	left, err := groups.Recover(owner)
	if err != nil {
		return nil, err
	}
	for _, g := range left {
		id := filepath.Base(g.Parent())
		// Other drivers of this owner have groups too. Mine have a bundle or a
		// box as long as they are there: those are removed before the group.
		// One with neither has no process by now, so whoever recovers it does
		// no harm.
		empty, err := g.Empty()
		if found[id] != nil || err == nil && empty {
			at(id).group = g
		} else {
			_ = g.Close()
		}
	}
	if len(found) > 0 {
		d.owners.Add(owner)
	}
	var sandboxes []driver.Sandbox
	for _, id := range slices.Sorted(maps.Keys(found)) {
		sandboxes = append(sandboxes, found[id])
	}
	return sandboxes, nil
}

// removeFiles removes a sandbox's bundle and whatever state a runtime that was
// killed has left.
func (d *Driver) removeFiles(id string) error {
	errs := []error{os.RemoveAll(d.bundleDir(id))}
	entries, err := os.ReadDir(d.options.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, e := range entries {
		if isStateOf(e.Name(), id) {
			errs = append(errs, os.RemoveAll(filepath.Join(d.options.StateDir, e.Name())))
		}
	}
	// Where the path of StateDir is too long for a socket, runsc uses these.
	for _, dir := range controlDirs(d.options)[1:] {
		if err := os.Remove(filepath.Join(dir, controlSocket(id))); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// isStateOf says whether a name in the runtime's state directory is the
// sandbox's: "<id>" of runc, "<id>_sandbox:<id>.state" and "runsc-<id>.sock"
// of runsc. An id has no '_' and may begin like another's.
func isStateOf(name, id string) bool {
	return name == id || strings.HasPrefix(name, id+"_sandbox:") || name == controlSocket(id)
}

// remains is what a dead daemon left of a sandbox. Of it, ID and Destroy work.
func (d *Driver) remains(owner, id string) *sandbox {
	s := &sandbox{driver: d, owner: owner, id: id, recovered: true, ended: make(chan struct{}), exit: driver.Exit{Code: -1}}
	close(s.ended)
	return s
}

// killRuntime ends the runtimes that a dead daemon started for the bundle and
// that, no longer being anybody's child, are known by their command line only.
func killRuntime(ctx context.Context, bundle string) error {
	pids, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range pids {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || !runs(path, bundle) {
			continue
		}
		errs = append(errs, killProcess(ctx, pid, func() bool { return runs(path, bundle) }))
	}
	return errors.Join(errs...)
}

// runs says whether a command line is that of a runtime running the bundle.
func runs(path, bundle string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(data), "\x00run\x00--bundle\x00"+bundle+"\x00")
}

// killProcess kills a process that is still the one meant and awaits its end.
func killProcess(ctx context.Context, pid int, still func() bool) error {
	p, err := host.WatchProcess(pid)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	// Asked again now that its number cannot become another's.
	if !still() {
		return nil
	}
	if err := p.Signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
