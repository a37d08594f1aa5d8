package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

// sandbox is one run of the runtime. It implements driver.Sandbox, Mounter,
// Resizer and Pauser.
type sandbox struct {
	driver *Driver
	owner  string
	id     string
	// recovered says that a dead daemon made it: it has no cmd, and perhaps no
	// group or box.
	recovered bool

	group   *host.Cgroup
	box     *host.Box
	network *host.Network

	cmd    *exec.Cmd
	output tail
	conn   net.Conn
	logs   []*logStream // stdout and stderr

	// question is where a sandbox whose runtime detaches answers how it ended.
	question question

	// ended is closed when the runtime has ended and nothing is left of what
	// ran inside; exit is set before. Nil when nothing was started.
	ended chan struct{}
	exit  driver.Exit

	mu        sync.Mutex
	reason    string
	destroyed chan struct{} // closed when the current Destroy is done
	err       error         // of the last Destroy
}

var (
	_ driver.Sandbox = (*sandbox)(nil)
	_ driver.Mounter = (*sandbox)(nil)
	_ driver.Resizer = (*sandbox)(nil)
	_ driver.Pauser  = (*sandbox)(nil)

	_ driver.ProcessLister = (*sandbox)(nil)
	_ driver.Native        = (*sandbox)(nil)
)

func newSandbox(d *Driver, spec driver.Spec) *sandbox {
	return &sandbox{driver: d, owner: spec.Owner, id: spec.ID}
}

// killPatience is how long the end of what was killed is awaited, and
// exitPatience how long the runtime may take afterwards to clean up.
const (
	killPatience = 5 * time.Second
	exitPatience = 3 * time.Second
)

// start runs the runtime; background says that it is to step back for other
// sandboxes.
func (s *sandbox) start(cmd *exec.Cmd, background bool) error {
	s.cmd = cmd
	// Its own session: a Ctrl-C at the terminal is meant for the daemon, which
	// then ends its sandboxes in good order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// Not the daemon's own environment, which may hold secrets.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.Dir = "/"
	// A pipe of our own: what is inside keeps its end for as long as it runs, and
	// the runtime may be gone before.
	said, say, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = say, say
	err = cmd.Start()
	_ = say.Close()
	if err != nil {
		_ = said.Close()
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: run %s", err, s.driver.flavour.fix)
		}
		return err
	}
	silent := make(chan struct{})
	s.driver.live.Go(func() {
		defer close(silent)
		_, _ = io.Copy(&s.output, said)
		_ = said.Close()
	})
	s.ended = make(chan struct{})
	s.driver.live.Go(func() {
		defer close(s.ended)
		s.reap()
		// Should anything keep the output open, nobody waits for it.
		select {
		case <-silent:
		case <-time.After(time.Second):
			_ = said.Close()
		}
	})
	if background {
		// What it starts on the host to set up the sandbox inherits it.
		return s.group.Demote(cmd.Process.Pid)
	}
	return nil
}

// reap waits for the sandbox's end and says what it was.
func (s *sandbox) reap() {
	defer s.question.close()
	err := s.cmd.Wait()
	exit := driver.Exit{Code: -1}
	if s.cmd.ProcessState == nil {
		s.driver.log.Error("the runtime could not be awaited", "sandbox", s.id, "err", err)
	} else if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); ok {
		exit = exitOf(status)
		err = nil
	}
	if s.driver.flavour.detachable() && exit == (driver.Exit{}) {
		if exit, err = s.follow(); err != nil {
			s.driver.log.Warn("how a sandbox ended is not known", "sandbox", s.id, "err", err)
		}
	}
	// The runtime is gone; were anything still running inside (the runtime was
	// killed, or is at fault), it ends now.
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	if err := s.group.Kill(ctx); err != nil {
		s.driver.log.Error("something outlives its runtime", "sandbox", s.id, "err", err)
	}
	s.exit = exit
	if oom, err := s.group.OOMKilled(); err == nil {
		s.exit.OOM = oom
	}
	if u, err := s.group.Usage(); err == nil {
		s.exit.PeakMemory = u.PeakMemory
	}
}

// exitOf reads the status of the first process inside, or of the runtime, which
// ends with the same: its code, or 128 and the number of the signal that ended it.
func exitOf(status syscall.WaitStatus) driver.Exit {
	if status.Signaled() {
		return driver.Exit{Code: -1, Signal: int(status.Signal())}
	}
	e := driver.Exit{Code: status.ExitStatus()}
	if e.Code > 128 && e.Code <= 128+64 {
		e.Signal = e.Code - 128
	}
	return e
}

// awaitShim waits until the shim has connected, the sandbox has ended, or ctx.
func (s *sandbox) awaitShim(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errEnded := errors.New("ended")
	accepted := make(chan struct{})
	defer close(accepted)
	go func() {
		select {
		case <-s.ended:
			cancel(errEnded)
		case <-accepted:
		}
	}()
	conn, logs, err := s.box.Accept(ctx)
	if errors.Is(err, errEnded) {
		return s.startError()
	}
	if err != nil {
		if said := lastLines(s.output.String()); said != "" {
			return fmt.Errorf("waiting for its shim to connect: %w; it said: %s", err, said)
		}
		return fmt.Errorf("waiting for its shim to connect: %w", err)
	}
	s.conn, s.logs = conn, []*logStream{newLogStream(logs.Stdout), newLogStream(logs.Stderr)}
	return nil
}

// startError says why the runtime ended before the shim had connected.
func (s *sandbox) startError() error {
	said := s.driver.flavour.message(s.output.String())
	if said == "" {
		said = "and said nothing"
	}
	return fmt.Errorf("before its shim connected, %s: %s", s.exit, said)
}

// ID implements driver.Sandbox.
func (s *sandbox) ID() string { return s.id }

// Conn implements driver.Sandbox.
func (s *sandbox) Conn() net.Conn { return s.conn }

// Native says whether the host's kernel itself serves the system calls inside.
func (s *sandbox) Native() bool { return s.driver.flavour.native }

// Logs implements driver.Sandbox.
func (s *sandbox) Logs() (stdout, stderr io.Reader) { return s.logs[0], s.logs[1] }

// Usage implements driver.Sandbox. The memory is that of the control group:
// the runtime's own part of it is counted.
func (s *sandbox) Usage(context.Context) (driver.Usage, error) {
	if s.recovered {
		return driver.Usage{}, driver.ErrDead
	}
	u, err := s.group.Usage()
	return u, orDead(err)
}

// CPU implements driver.Sandbox.
func (s *sandbox) CPU() (time.Duration, error) {
	if s.recovered {
		return 0, driver.ErrDead
	}
	used, err := s.group.CPU()
	return used, orDead(err)
}

// orDead is driver.ErrDead for a group that was removed.
func orDead(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return driver.ErrDead
	}
	return err
}

// Processes implements driver.ProcessLister: the group's, and the runtime where it
// waits for their end.
func (s *sandbox) Processes(context.Context) ([]int, error) {
	if err := s.dead(); err != nil {
		return nil, err
	}
	pids, err := s.group.Processes()
	if err != nil {
		return nil, err
	}
	if !s.driver.flavour.detachable() {
		pids = append(pids, s.cmd.Process.Pid)
	}
	return pids, nil
}

// Wait implements driver.Sandbox.
func (s *sandbox) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.ended:
		e := s.exit
		s.mu.Lock()
		e.Reason = s.reason
		s.mu.Unlock()
		return e, nil
	case <-ctx.Done():
		return driver.Exit{}, context.Cause(ctx)
	}
}

// dead is driver.ErrDead, with the cause, once the sandbox has ended.
func (s *sandbox) dead() error {
	select {
	case <-s.ended:
		return fmt.Errorf("%w: %s", driver.ErrDead, s.exit)
	default:
		return nil
	}
}

// Stop implements driver.Sandbox: the control group is frozen for good.
func (s *sandbox) Stop(ctx context.Context) error {
	if s.dead() != nil {
		return nil
	}
	return s.group.Stop(ctx)
}

// Pause implements driver.Pauser.
func (s *sandbox) Pause(ctx context.Context) error {
	if err := s.dead(); err != nil {
		return err
	}
	return s.group.Freeze(ctx)
}

// Resume implements driver.Pauser.
func (s *sandbox) Resume(context.Context) error {
	if err := s.dead(); err != nil {
		return err
	}
	return s.group.Thaw()
}

// Resize implements driver.Resizer.
func (s *sandbox) Resize(_ context.Context, l driver.Limits) error {
	if err := s.dead(); err != nil {
		return err
	}
	return s.group.Resize(s.driver.hostLimits(l))
}

// Mount implements driver.Mounter.
func (s *sandbox) Mount(_ context.Context, dir string) error {
	if err := s.dead(); err != nil {
		return err
	}
	return s.box.Mount(dir)
}

// Destroy implements driver.Sandbox.
func (s *sandbox) Destroy(ctx context.Context, reason string) error {
	s.mu.Lock()
	if s.reason == "" {
		s.reason = reason
	}
	if s.destroyed == nil || isClosed(s.destroyed) && s.err != nil {
		done := make(chan struct{})
		s.destroyed, s.err = done, nil
		s.driver.live.Go(func() {
			err := s.remove()
			s.mu.Lock()
			s.err = err
			close(done)
			s.mu.Unlock()
		})
	}
	done := s.destroyed
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// remove ends everything and takes away all that the sandbox has on the host.
func (s *sandbox) remove() error {
	if err := s.kill(); err != nil {
		// What still runs keeps all it has: taking the mounts and the group
		// from under it would only hide it. The next Destroy tries again.
		return fmt.Errorf("destroy sandbox %s: %w", s.id, err)
	}
	if s.conn != nil {
		_ = s.conn.Close()
		for _, l := range s.logs {
			l.finish()
		}
	}
	var errs []error
	if s.box != nil {
		errs = append(errs, s.box.Remove())
	}
	switch {
	case s.network != nil:
		errs = append(errs, s.network.Remove())
	case s.recovered:
		errs = append(errs, host.RemoveNetwork(s.owner, s.id, s.driver.bundleDir(s.id)))
	}
	errs = append(errs, s.driver.removeFiles(s.id))
	if s.group != nil {
		errs = append(errs, s.group.Remove())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("destroy sandbox %s: %w", s.id, err)
	}
	return nil
}

// kill returns when neither the runtime nor anything inside runs.
func (s *sandbox) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killPatience)
	defer cancel()
	// A runtime that is still starting might put a process into the group
	// after that was found empty, so it has to go first. Later on it is left
	// to end by itself, which takes its state away.
	switch {
	case s.recovered:
		if err := killRuntime(ctx, s.driver.bundleDir(s.id)); err != nil {
			return err
		}
	case s.ended != nil && s.conn == nil:
		_ = s.cmd.Process.Kill()
	}
	if s.group != nil {
		if err := s.group.Kill(ctx); err != nil {
			return err
		}
	}
	if s.ended == nil {
		return nil
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(exitPatience):
		s.driver.log.Warn("the runtime outlives its sandbox and is killed", "sandbox", s.id)
		_ = s.cmd.Process.Kill()
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the runtime does not end: %w", context.Cause(ctx))
	}
}
