package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
)

// codeAt is where the programs are in a bare root, asgiAt where uvicorn is. Both
// directories are in every image of Debian.
const (
	codeAt = "/mnt"
	asgiAt = "/srv"
)

// bareRoot is an image's file system as a directory to change the root to: the
// image itself, bound, with the programs, /proc, /dev and an empty /tmp mounted
// into it. Nothing of the image changes and nothing lies between it and the
// processes.
type bareRoot struct{ dir string }

// bareRoot mounts one for the image of g.
func (l *lab) bareRoot(g language) (_ *bareRoot, err error) {
	img, err := l.images.DriverImage(g.Image)
	if err != nil {
		return nil, fmt.Errorf("%w: run `make images`", err)
	}
	dir, err := l.mkdir("root")
	if err != nil {
		return nil, err
	}
	mounts := []struct {
		source, at, kind string
		flags            uintptr
	}{
		{img.Root, "", "", unix.MS_BIND},
		{g.dir, codeAt, "", unix.MS_BIND},
		{"/dev", "/dev", "", unix.MS_BIND},
		{"proc", "/proc", "proc", 0},
		{"tmpfs", "/tmp", "tmpfs", 0},
	}
	if l.asgi != "" && g.Language == "python" {
		mounts = append(mounts, struct {
			source, at, kind string
			flags            uintptr
		}{l.asgi, asgiAt, "", unix.MS_BIND})
	}
	for i, m := range mounts {
		at := filepath.Join(dir, m.at)
		if err := unix.Mount(m.source, at, m.kind, m.flags, ""); err != nil {
			return nil, fmt.Errorf("mount %s at %s: %w", m.source, at, err)
		}
		l.later(func() error { return unix.Unmount(at, unix.MNT_DETACH) })
		if i == 0 { // What is mounted into it stays here.
			if err := unix.Mount("", at, "", unix.MS_PRIVATE, ""); err != nil {
				return nil, err
			}
		}
	}
	return &bareRoot{dir: dir}, nil
}

// command is a program of the image, run as the user that functions have.
func (r *bareRoot) command(g language, args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: g.interpreter, Args: append([]string{g.interpreter}, args...), Dir: "/", Env: g.Env,
		SysProcAttr: &syscall.SysProcAttr{
			Chroot: r.dir, Credential: &syscall.Credential{Uid: driver.UID, Gid: driver.GID}, Setpgid: true,
		},
	}
}

// once runs the handler's file once: the time from exec to its answer.
func (r *bareRoot) once(g language, payload string) (time.Duration, error) {
	took, _, err := firstLine(r.command(g, codeAt+"/"+g.handler, payload), payload)
	return took, err
}

// firstLine starts c and takes the time until it has printed want, and until it
// has ended.
func firstLine(c *exec.Cmd, want string) (first, wall time.Duration, err error) {
	var stderr strings.Builder
	c.Stderr = &stderr
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = r.Close() }()
	c.Stdout = w
	began := time.Now()
	err = c.Start()
	_ = w.Close()
	if err != nil {
		return 0, 0, err
	}
	timer := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	got, readErr := bufio.NewReader(r).ReadString('\n')
	first = time.Since(began)
	err = c.Wait()
	wall = time.Since(began)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("%s: %w: %.300s", c.Path, err, stderr.String())
	case readErr != nil || strings.TrimSuffix(got, "\n") != want:
		return 0, 0, fmt.Errorf("%s answered %.100q", c.Path, got)
	}
	return first, wall, nil
}

// process is a program that runs until it is stopped.
type process struct {
	cmd *exec.Cmd
	// address is where a server listens.
	address string
}

// process starts c by start and stops it when the lab is released.
func (l *lab) process(c *exec.Cmd, start func(*exec.Cmd) error) (*process, error) {
	var stderr strings.Builder
	c.Stderr = &stderr
	if err := start(c); err != nil {
		return nil, err
	}
	p := &process{cmd: c}
	l.later(func() error {
		_ = c.Process.Kill()
		var exit *exec.ExitError
		if err := c.Wait(); err != nil && !errors.As(err, &exit) {
			return err
		}
		return nil
	})
	return p, nil
}

// serve starts a bare HTTP server and waits until it accepts connections.
func (l *lab) serve(ctx context.Context, r *bareRoot, g language, s server, start func(*exec.Cmd) error) (*process, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	c := r.command(g, codeAt+"/"+s.file, strconv.Itoa(port))
	// Libraries that uvicorn needs and the image has not.
	c.Env = append(slices.Clone(c.Env), "LD_LIBRARY_PATH="+asgiAt+"/lib")
	p, err := l.process(c, start)
	if err != nil {
		return nil, err
	}
	p.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	err = until(ctx, patience/4, func() error {
		c, err := net.DialTimeout("tcp", p.address, time.Second)
		if err != nil {
			return err
		}
		return c.Close()
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", s.name, err, p.cmd.Stderr)
	}
	return p, nil
}

// idler starts an interpreter that has loaded the handler and waits.
func (l *lab) idler(r *bareRoot, g language) (*process, error) {
	c := r.command(g, codeAt+"/"+g.idle)
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p, err := l.process(c, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return nil, fmt.Errorf("%s printed %q: %w: %s", g.idle, line, err, c.Stderr)
	}
	return p, nil
}

// freePort is a TCP port of the loopback that nobody has at the moment.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// until tries f until it works, and returns its last error when that takes too
// long or ctx ends.
func until(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
