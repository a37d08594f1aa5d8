package compare

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/quiet"
	cvruntime "github.com/covefn/cove/internal/runtime"
)

// bare is a function in a process beside which no isolation works: the runtime
// image's own interpreter and the shim, with the image as its root. It speaks the
// runtime protocol as an instance does, so what differs is the sandbox and nothing
// else. What costs a running process nothing is kept, as the function may be
// anybody's: it has a user of its own without rights, a read-only root, no devices,
// no sight of other processes, and no network unless the function has.
type bare struct {
	cmd  *exec.Cmd
	conn *cvruntime.Conn
	logs [2]net.Conn // stdout and stderr
	dir  string
	// init is how long the handler's import took.
	init time.Duration
	read chan struct{}
}

// bareSpec says what to start.
type bareSpec struct {
	// Root is the image's file system, Shims the directory that WriteShims filled,
	// Code that of the function.
	Runtime           cvruntime.Runtime
	Root, Shims, Code string
	Handler           string
	Env               cove.Env
	// Network is the function's setting.
	Network cove.Network
	// Tmp is a directory for what the process needs on the host.
	Tmp string
}

const (
	bareStart = 30 * time.Second
	bareCall  = 60 * time.Second
	// bareUser is none of those that sandboxes run as: what runs as theirs could end
	// them.
	bareUser = driver.UID - 1
)

// startBare starts one and loads the function. It must be closed.
func startBare(ctx context.Context, s bareSpec) (_ *bare, err error) {
	ctx, cancel := context.WithTimeout(ctx, bareStart)
	defer cancel()
	b := &bare{read: make(chan struct{})}
	if b.dir, err = os.MkdirTemp(s.Tmp, "bare-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(b.dir)
		}
	}()
	if err := errors.Join(os.MkdirAll(filepath.Join(b.dir, "box", "code"), 0o755), os.Mkdir(filepath.Join(b.dir, "root"), 0o755), os.Chmod(b.dir, 0o755)); err != nil {
		return nil, err
	}
	connSocket, err := listenUnix(filepath.Join(b.dir, "box", filepath.Base(driver.ConnSocket)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = connSocket.Close() }()
	logSocket, err := listenUnix(filepath.Join(b.dir, "box", filepath.Base(driver.LogSocket)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = logSocket.Close() }()
	if err := b.start(s); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = b.cmd.Process.Kill()
			_ = b.cmd.Wait()
		}
	}()
	conn, err := b.accept(logSocket, connSocket)
	if err != nil {
		return nil, err
	}
	// The host reads an instance's output too.
	go func() {
		defer close(b.read)
		var both sync.WaitGroup
		for _, c := range b.logs {
			both.Go(func() { _, _ = io.Copy(io.Discard, c) })
		}
		both.Wait()
	}()
	b.conn = cvruntime.NewConn(conn, cvruntime.Options{})
	if err := b.load(ctx, s); err != nil {
		_ = b.conn.Close()
		b.closeLogs()
		<-b.read
		return nil, err
	}
	return b, nil
}

// accept takes the connections of the shim: two of the log, then the protocol's.
func (b *bare) accept(logSocket, connSocket *net.UnixListener) (conn net.Conn, err error) {
	for i := range b.logs {
		if b.logs[i], err = acceptUnix(logSocket); err != nil {
			break
		}
	}
	var accepted *net.UnixConn
	if err == nil {
		accepted, err = acceptUnix(connSocket)
	}
	if err == nil {
		conn, err = quiet.New(accepted) // As a sandbox's is.
	}
	if err != nil {
		b.closeLogs()
		return nil, err
	}
	return conn, nil
}

func (b *bare) closeLogs() {
	for _, c := range b.logs {
		if c != nil {
			_ = c.Close()
		}
	}
}

// load says HELLO and INIT.
func (b *bare) load(ctx context.Context, s bareSpec) error {
	if _, err := b.conn.Hello(ctx); err != nil {
		return fmt.Errorf("the bare process of %s: %w", s.Runtime.Name, err)
	}
	env := map[string]string{}
	for name, v := range s.Env {
		env[name] = v.Value
	}
	entropy := make([]byte, 32)
	_, _ = rand.Read(entropy) // It never fails.
	began := time.Now()
	err := b.conn.Init(ctx, cvruntime.Init{
		Function: "bench", Version: 1, Handler: s.Handler, CodeDir: driver.CodeDir, Env: env, MemoryMiB: 128,
		TimeoutMS: bareCall.Milliseconds(), MaxAnswer: cvruntime.MaxPayload, Poll: true,
		Entropy: entropy, Now: time.Now().UnixNano(),
	})
	b.init = time.Since(began)
	return err
}

// start starts the process from a thread with mounts of its own, which ends with
// what it did: nothing of it is ever seen on the host, also if this program is
// killed.
func (b *bare) start(s bareSpec) error {
	started := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, and its mounts with
		// the process.
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			started <- b.startHere(s)
			return
		}
		// But for the first thread, which never ends and is what others see as this
		// program. While it is held another one does it.
		started <- b.start(s)
		runtime.UnlockOSThread()
	}()
	return <-started
}

func (b *bare) startHere(s bareSpec) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("a mount namespace for a bare process: %w", err)
	}
	root, box := filepath.Join(b.dir, "root"), filepath.Join(b.dir, "box")
	const readOnly = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		source, at, kind string
		flags            uintptr
		data             string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{s.Code, filepath.Join(box, "code"), "", unix.MS_BIND, ""},
		{"", filepath.Join(box, "code"), "", readOnly, ""},
		{s.Root, root, "", unix.MS_BIND, ""},
		{"", root, "", readOnly, ""},
		{box, filepath.Join(root, driver.BoxDir), "", unix.MS_BIND | unix.MS_REC, ""},
		{cvruntime.ShimDir(s.Shims, s.Runtime), filepath.Join(root, driver.ShimDir), "", unix.MS_BIND, ""},
		{"tmpfs", filepath.Join(root, "dev"), "tmpfs", unix.MS_NOSUID, "mode=755"},
		{"proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID | unix.MS_NODEV, "hidepid=2"},
		{"tmpfs", filepath.Join(root, "tmp"), "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, ""},
	} {
		if err := unix.Mount(m.source, m.at, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.source, m.at, err)
		}
	}
	if err := devices(filepath.Join(root, "dev")); err != nil {
		return err
	}
	b.cmd = &exec.Cmd{
		Path: s.Runtime.Command[0], Args: s.Runtime.Command, Env: s.Runtime.Env, Dir: "/",
		SysProcAttr: &syscall.SysProcAttr{
			Chroot: root, Credential: &syscall.Credential{Uid: bareUser, Gid: bareUser}, Setpgid: true,
			Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
		},
	}
	if s.Network != cove.NetworkEgress {
		b.cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWNET
	}
	return b.cmd.Start()
}

// devices makes those that every program may expect, in the directory dir.
func devices(dir string) error {
	for name, minor := range map[string]uint32{"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9} {
		path := filepath.Join(dir, name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor))); err != nil {
			return fmt.Errorf("make %s: %w", path, err)
		}
		if err := os.Chmod(path, 0o666); err != nil { // Whatever the umask.
			return err
		}
	}
	return nil
}

// call calls the handler with an event: the time from the call written to its
// answer, as the host measures an instance's, and the answer.
func (b *bare) call(event []byte) (time.Duration, json.RawMessage, error) {
	deadline := time.Now().Add(bareCall)
	a, err := b.conn.Invoke(deadline, &cvruntime.Invoke{
		Kind: cove.KindDirect, RequestID: "bench", TimeoutMS: bareCall.Milliseconds(), Marker: "bench", Payload: event,
	})
	if err != nil {
		return 0, nil, err
	}
	return a.Took, json.RawMessage(a.Payload), nil
}

// Close ends the process and removes what it had on the host.
func (b *bare) Close() error {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait() // That it was killed is no news.
	_ = b.conn.Close()
	b.closeLogs()
	<-b.read
	return os.RemoveAll(b.dir)
}

func listenUnix(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, l.SetDeadline(time.Now().Add(bareStart))
}

func acceptUnix(l *net.UnixListener) (*net.UnixConn, error) {
	c, err := l.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("the bare process did not connect: %w", err)
	}
	return c, nil
}
