package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/driver/host"
)

const (
	// exitTime bounds the question for an exit code.
	exitTime = 2 * time.Second
	// killTime and removeTime bound one attempt each; then comes the next.
	killTime   = 5 * time.Second
	removeTime = 10 * time.Second
	// drainTime is how long the last of the log is kept for its reader.
	drainTime = time.Second
	// retryFirst and retryMost are the waits between attempts to remove.
	retryFirst = 50 * time.Millisecond
	retryMost  = 30 * time.Second
)

// sandbox is one container. The fields that build fills are read-only for
// whoever has got the sandbox from Create.
type sandbox struct {
	d         *Driver
	spec      driver.Spec
	box       *host.Box
	network   *host.Network
	cgroup    *host.Cgroup
	process   *host.Process
	pid       int
	conn      net.Conn
	logs      []*logs // stdout and stderr
	container string
	// hasNetDir is set when the directory for the network may be there.
	hasNetDir bool
	// mayExist is set before Docker is asked for the container.
	mayExist bool
	// watched is set when watch runs.
	watched bool

	// ended is closed when the container's first process is, and exit then set.
	ended chan struct{}
	exit  driver.Exit

	mu sync.Mutex
	// destroyed is made by the first Destroy and closed when all is removed.
	destroyed chan struct{}
	reason    string
	// killed says that it still ran when Destroy was called.
	killed bool
}

func newSandbox(d *Driver, spec driver.Spec) *sandbox {
	return &sandbox{d: d, spec: spec, ended: make(chan struct{})}
}

func (s *sandbox) ID() string                       { return s.spec.ID }
func (s *sandbox) Conn() net.Conn                   { return s.conn }
func (s *sandbox) Logs() (stdout, stderr io.Reader) { return s.logs[0], s.logs[1] }

func (s *sandbox) Usage(context.Context) (driver.Usage, error) { return s.cgroup.Usage() }

func (s *sandbox) CPU() (time.Duration, error) { return s.cgroup.CPU() }

// alive is an error that is driver.ErrDead once the container has ended.
func (s *sandbox) alive() error {
	if s.process == nil || isClosed(s.process.Done()) {
		return fmt.Errorf("sandbox %s: %w: its first process has ended", s.spec.ID, driver.ErrDead)
	}
	return nil
}

// shimName is the beginning of the name of the process that containerd keeps for
// each container, as the parent of its first process.
const shimName = "containerd-shim"

// Processes implements driver.ProcessLister: the container's, and containerd's
// process for it.
func (s *sandbox) Processes(context.Context) ([]int, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	pids, err := s.cgroup.Processes()
	if err != nil {
		return nil, err
	}
	parent, name, err := host.ParentOf(s.pid)
	if err != nil {
		return nil, fmt.Errorf("find the container's helper: %w", err)
	}
	if strings.HasPrefix(name, shimName) {
		pids = append(pids, parent)
	}
	return pids, nil
}

func (s *sandbox) Mount(_ context.Context, dir string) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.box.Mount(dir)
}

func (s *sandbox) Resize(_ context.Context, limits driver.Limits) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.cgroup.Resize(limits)
}

func (s *sandbox) Pause(ctx context.Context) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.cgroup.Freeze(ctx)
}

func (s *sandbox) Resume(context.Context) error {
	if err := s.alive(); err != nil {
		return err
	}
	return s.cgroup.Thaw()
}

func (s *sandbox) Stop(ctx context.Context) error { return s.cgroup.Stop(ctx) }

func (s *sandbox) Wait(ctx context.Context) (driver.Exit, error) {
	select {
	case <-s.ended:
		return s.exit, nil
	case <-ctx.Done():
		return driver.Exit{}, context.Cause(ctx)
	}
}

// watch waits for the end of the container and finds out how it ended.
func (s *sandbox) watch() {
	defer close(s.ended)
	s.exit = driver.Exit{Code: -1}
	select {
	case <-s.process.Done():
	case <-s.d.ctx.Done():
		return
	}
	if usage, err := s.cgroup.Usage(); err == nil {
		s.exit.PeakMemory = usage.PeakMemory
	}
	s.exit.OOM, _ = s.cgroup.OOMKilled()
	if s.exit.OOM && s.exit.PeakMemory == 0 {
		// systemd was faster, and what the group had counted is lost.
		s.exit.PeakMemory = s.spec.Limits.Memory
	}
	s.mu.Lock()
	s.exit.Reason = s.reason
	killed := s.killed
	s.mu.Unlock()
	if killed {
		// What Destroy killed needs no asking.
		s.exit.Code = 128 + int(unix.SIGKILL)
	} else {
		s.exit.Code = s.inspectExit()
	}
	if s.exit.Code > 128 && s.exit.Code < 128+65 {
		s.exit.Signal = s.exit.Code - 128
	}
}

// inspectExit asks Docker for the exit code, which it may learn of a little
// later than the kernel; -1 if it does not say in time.
func (s *sandbox) inspectExit() int {
	ctx, cancel := context.WithTimeout(s.d.ctx, exitTime)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		found, err := s.d.api.ContainerInspect(ctx, s.container, client.ContainerInspectOptions{})
		if err != nil {
			return -1
		}
		if state := found.Container.State; state != nil && !state.Running {
			return state.ExitCode
		}
		select {
		case <-ctx.Done():
			return -1
		case <-time.After(wait):
		}
	}
}

// Destroy begins the removal, unless it goes on already, and waits for its end
// or that of ctx.
func (s *sandbox) Destroy(ctx context.Context, reason string) error {
	s.mu.Lock()
	if s.destroyed == nil {
		s.destroyed, s.reason = make(chan struct{}), reason
		s.killed = s.process == nil || !isClosed(s.process.Done())
		s.d.background.Go(s.removeAll)
	}
	destroyed := s.destroyed
	s.mu.Unlock()
	select {
	case <-destroyed:
		return nil
	case <-ctx.Done():
	case <-s.d.ctx.Done():
	}
	// Both may be so at once, and then the removal is what counts.
	select {
	case <-destroyed:
		return nil
	default:
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return fmt.Errorf("the sandbox %s is not removed: the Docker driver was closed: %w", s.spec.ID, context.Cause(s.d.ctx))
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// removeAll goes on until nothing is left, or the driver is closed.
func (s *sandbox) removeAll() {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		err := s.remove()
		if err == nil {
			close(s.destroyed)
			return
		}
		s.d.log.Warn("a sandbox could not be removed yet; it is tried again", "isolation", Isolation, "sandbox", s.spec.ID, "error", err, "again_in", wait)
		select {
		case <-s.d.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// remove makes one attempt at the whole removal. Killing comes first and needs
// no Docker; the box comes last, since Recover goes by it.
func (s *sandbox) remove() error {
	if s.cgroup != nil {
		ctx, cancel := context.WithTimeout(s.d.ctx, killTime)
		err := s.cgroup.Kill(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	if s.conn != nil {
		_ = s.conn.Close()
	}
	if s.watched {
		// It is dead, so watch comes to its end; and it may still have to ask
		// Docker how the container that now goes away ended.
		<-s.ended
	}
	if err := s.removeContainer(); err != nil {
		return err
	}
	if s.process != nil {
		_ = s.process.Close()
	}
	for _, l := range s.logs {
		l.close(drainTime)
	}
	errs := []error{s.removeNetwork()}
	if s.cgroup != nil {
		errs = append(errs, s.cgroup.Remove())
	}
	if err := errors.Join(errs...); err != nil || s.box == nil {
		return err
	}
	return s.box.Remove()
}

func (s *sandbox) removeContainer() error {
	if !s.mayExist {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.d.ctx, removeTime)
	defer cancel()
	_, err := s.d.api.ContainerRemove(ctx, containerName(s.spec.Owner, s.spec.ID), client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove the container: %w", err)
	}
	return nil
}

func (s *sandbox) removeNetwork() error {
	dir := s.d.netDir(s.spec.Owner, s.spec.ID)
	if !s.hasNetDir {
		return nil
	}
	if err := host.RemoveNetwork(s.spec.Owner, s.spec.ID, dir); err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// Native says that a container has the host's kernel.
func (s *sandbox) Native() bool { return true }

// logs is one of the streams of what was written inside. Its end is only closed
// when it was read to the end, or nobody reads it.
type logs struct {
	net.Conn
	once sync.Once
	eof  chan struct{}
}

func newLogs(c net.Conn) *logs { return &logs{Conn: c, eof: make(chan struct{})} }

func (l *logs) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if err != nil {
		l.once.Do(func() { close(l.eof) })
	}
	if errors.Is(err, net.ErrClosed) {
		err = io.EOF
	}
	return n, err
}

// SyscallConn implements syscall.Conn.
func (l *logs) SyscallConn() (syscall.RawConn, error) {
	c, ok := l.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.SyscallConn()
}

// close waits a moment for the reader of what is left, if anything is.
func (l *logs) close(patience time.Duration) {
	if pending(l.Conn) {
		select {
		case <-l.eof:
		case <-time.After(patience):
		}
	}
	_ = l.Conn.Close()
}

// pending says whether a socket holds bytes that were not read.
func pending(c net.Conn) bool {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return err == nil && n > 0
}

var (
	_ driver.Sandbox = (*sandbox)(nil)
	_ driver.Mounter = (*sandbox)(nil)
	_ driver.Resizer = (*sandbox)(nil)
	_ driver.Pauser  = (*sandbox)(nil)

	_ driver.ProcessLister = (*sandbox)(nil)
	_ driver.Native        = (*sandbox)(nil)
)
