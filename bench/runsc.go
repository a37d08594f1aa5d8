package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
	"github.com/covefn/cove/internal/runtime"
)

// runscRun is `runsc run` with the bundle that Cove's own driver has written,
// beginning a shim that says HELLO.
type runscRun struct {
	lab   *lab
	spec  specs.Spec
	group *host.Cgroup
	dir   string
}

// runscRun has Cove's driver make one sandbox of g, and keeps its bundle.
func (l *lab) runscRun(ctx context.Context, g language) (_ *runscRun, err error) {
	r := &runscRun{lab: l}
	mark := l.mark()
	s, err := l.sandbox(ctx, isolationGVisor, g, l.shimDir(g.Runtime))
	if err != nil {
		return nil, err
	}
	bundles, err := filepath.Glob(filepath.Join(l.dir, "driver-*", "run", "bundle", s.ID(), "config.json"))
	if err != nil || len(bundles) != 1 {
		return nil, errors.Join(err, fmt.Errorf("the bundle of %s is not where it was: %q", s.ID(), bundles))
	}
	data, err := os.ReadFile(bundles[0])
	if err == nil {
		err = json.Unmarshal(data, &r.spec)
	}
	if err := errors.Join(err, l.release(mark)); err != nil {
		return nil, err
	}
	groups, err := host.FindCgroups()
	if err != nil {
		return nil, err
	}
	// Limits as a sandbox of Cove's has; the room for the runtime itself included.
	lim := limits()
	lim.Memory, lim.PIDs = 2*lim.Memory, 4*lim.PIDs
	if r.group, err = groups.New(owner, l.id(), lim); err != nil {
		return nil, err
	}
	l.later(r.group.Remove)
	if r.dir, err = l.mkdir("runsc"); err != nil {
		return nil, err
	}
	l.later(r.unmount)
	return r, nil
}

func (r *runscRun) state() string { return filepath.Join(r.dir, "state") }

// unmount takes away the empty network namespace that runsc leaves mounted in its
// state directory.
func (r *runscRun) unmount() error {
	err := unix.Unmount(filepath.Join(r.state(), "null-netns"), unix.MNT_DETACH)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// once starts a sandbox: the time from exec to the first frame. Ending it is no
// part of that.
func (r *runscRun) once(ctx context.Context) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := r.lab.id()
	bundle := filepath.Join(r.dir, id)
	if err := os.MkdirAll(bundle, 0o700); err != nil {
		return 0, err
	}
	box, err := host.NewBox(filepath.Join(r.dir, id+"-box"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, box.Remove(), os.RemoveAll(bundle)) }()
	if err := r.write(bundle, box.Dir()); err != nil {
		return 0, err
	}
	flags := []string{
		"--root", r.state(), "--platform=systrap", "--network=none", "--host-uds=open", "--overlay2=none",
		"--file-access=exclusive", "--host-settings=ignore",
	}
	var out strings.Builder
	c := exec.Command(r.lab.runsc, append(flags, "run", "--bundle", bundle, id)...)
	c.Stdout, c.Stderr = &out, &out
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, err
	}
	took, err = r.awaitHello(ctx, box, began)
	kill, cancelKill := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancelKill()
	killErr := r.group.Kill(kill)
	_ = c.Wait() // It was killed.
	_, deleteErr := command(kill, r.lab.runsc, append(flags, "delete", "--force", id)...)
	if err != nil {
		err = fmt.Errorf("%w: %.300s", err, out.String())
	}
	return took, errors.Join(err, killErr, deleteErr)
}

func (r *runscRun) awaitHello(ctx context.Context, box *host.Box, began time.Time) (time.Duration, error) {
	conn, logs, err := box.Accept(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _, _ = conn.Close(), logs.Close() }()
	go func() { _, _ = io.Copy(io.Discard, logs.Stdout) }()
	go func() { _, _ = io.Copy(io.Discard, logs.Stderr) }()
	_, err = runtime.NewConn(conn, runtime.Options{}).Hello(ctx)
	return time.Since(began), err
}

// write writes the bundle with another box and control group.
func (r *runscRun) write(bundle, box string) error {
	spec := r.spec
	linux := *spec.Linux
	linux.CgroupsPath = filepath.Join(r.group.Parent(), "run")
	spec.Linux = &linux
	spec.Mounts = append([]specs.Mount(nil), spec.Mounts...)
	for i := range spec.Mounts {
		if spec.Mounts[i].Destination == driver.BoxDir {
			spec.Mounts[i].Source = box
		}
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o600)
}
