package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/quiet"
)

// The names inside a box; driver.ConnSocket, driver.LogSocket and
// driver.CodeDir are the same, seen from within the sandbox.
const (
	connSocket = "conn.sock"
	logSocket  = "log.sock"
	codeDir    = "code"
)

// Box is the directory that one sandbox shares with the host. A driver mounts
// Dir at driver.BoxDir inside the sandbox as "ro,rslave": what Mount puts into
// it later then appears in there, and what the sandbox may do to its own mounts
// never reaches the host. It is safe for concurrent use.
type Box struct {
	dir string

	mu      sync.Mutex
	logs    *net.UnixListener
	conn    *net.UnixListener
	removed bool
}

// NewBox makes the directory dir, whose parents must exist or can be made, as
// a mount of its own, and listens in it for the shim. On an error nothing is
// left. The path may be of any length: the sockets are not bound by it.
func NewBox(dir string) (*Box, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o711); err != nil {
		return nil, fmt.Errorf("make a place for the sandbox's directory: %w", err)
	}
	// Mkdir, not MkdirAll: a directory that is there already belongs to another
	// sandbox, or to what a dead daemon left and Recover has not removed.
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the sandbox's directory: %w", err)
	}
	b := &Box{dir: dir}
	if err := b.fill(); err != nil {
		return nil, errors.Join(err, b.Remove())
	}
	return b, nil
}

func (b *Box) fill() error {
	if err := makeShared(b.dir); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(b.dir, codeDir), 0o755); err != nil {
		return err
	}
	// Against the umask: the function's user has to get through.
	for _, d := range []string{b.dir, filepath.Join(b.dir, codeDir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			return err
		}
	}
	dir, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if b.logs, err = listen(dir, logSocket); err != nil {
		return err
	}
	b.conn, err = listen(dir, connSocket)
	return err
}

// shortPath is a path to name in the open directory dir. An address of a unix
// socket holds 107 bytes, and this is short however long the path of dir is.
func shortPath(dir *os.File, name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), name)
}

// listen binds a socket in the open directory dir.
func listen(dir *os.File, name string) (*net.UnixListener, error) {
	path := shortPath(dir, name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", filepath.Join(dir.Name(), name), err)
	}
	// The short path is gone by the time the listener closes.
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Dir is the directory on the host.
func (b *Box) Dir() string { return b.dir }

// Logs are the streams of what is written inside.
type Logs struct{ Stdout, Stderr net.Conn }

// Close closes both.
func (l Logs) Close() error { return errors.Join(l.Stdout.Close(), l.Stderr.Close()) }

// Accept waits for the shim to connect to both sockets, to that of the log twice,
// and then closes and removes both, so that nothing else inside the sandbox can
// connect. It may be called once. When ctx ends first it returns ctx's error, and
// when the box is removed meanwhile net.ErrClosed; the sockets are gone in every
// case.
func (b *Box) Accept(ctx context.Context) (conn net.Conn, logs Logs, err error) {
	b.mu.Lock()
	logListener, connListener := b.logs, b.conn
	b.mu.Unlock()
	if logListener == nil || connListener == nil {
		return nil, Logs{}, net.ErrClosed
	}
	stop := context.AfterFunc(ctx, func() {
		_ = logListener.SetDeadline(time.Unix(1, 0))
		_ = connListener.SetDeadline(time.Unix(1, 0))
	})
	defer stop()
	defer func() { err = errors.Join(err, b.hangUp()) }()

	// The shim connects to the log first, for stdout and then for stderr.
	var taken [3]net.Conn
	for i, l := range []*net.UnixListener{logListener, logListener, connListener} {
		if taken[i], err = accept(l, l == connListener); err == nil {
			continue
		}
		for _, c := range taken[:i] {
			_ = c.Close()
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, Logs{}, err
	}
	return taken[2], Logs{taken[0], taken[1]}, nil
}

// accept takes the next connection. The protocol's is on the path of every request,
// and so a quiet.Conn.
func accept(l *net.UnixListener, ofRequests bool) (net.Conn, error) {
	c, err := l.AcceptUnix()
	if err != nil || !ofRequests {
		return c, err
	}
	return quiet.New(c)
}

// hangUp closes and removes both sockets.
func (b *Box) hangUp() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, l := range []*net.UnixListener{b.logs, b.conn} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	b.logs, b.conn = nil, nil
	for _, name := range []string{logSocket, connSocket} {
		if err := os.Remove(filepath.Join(b.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Mount makes the host's directory src appear read-only at code/ in the box,
// and so at driver.CodeDir in the sandbox. It takes a few system calls. One
// box takes one package: a second Mount is an error.
func (b *Box) Mount(src string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.removed {
		return net.ErrClosed
	}
	target := filepath.Join(b.dir, codeDir)
	if mounted, err := isMountPoint(target); err != nil || mounted {
		return errors.Join(err, fmt.Errorf("mount %s: the sandbox has its package already", src))
	}
	return mountReadOnly(src, target)
}

// isMountPoint says whether path is the root of a mount.
func isMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err != nil {
		return false, fmt.Errorf("look at %s: %w", path, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// Remove takes everything of the box away: sockets, mounts, the directory. It
// may be called again and at any time. It deletes only what NewBox made, name
// by name, so a package that for some reason is still mounted in it is left
// untouched and an error is returned.
func (b *Box) Remove() error {
	errs := []error{b.hangUp()}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removed = true
	for _, path := range []string{filepath.Join(b.dir, codeDir), b.dir, filepath.Join(b.dir, codeDir)} {
		errs = append(errs, unmountAll(path))
	}
	for _, path := range []string{filepath.Join(b.dir, codeDir), b.dir} {
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, fmt.Errorf("remove %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

// RecoverBoxes finds the boxes beneath runDir that a dead daemon left, each
// named by filepath.Base(Dir()). Of what it returns only Dir and Remove work.
// A runDir that does not exist holds none.
func RecoverBoxes(runDir string) ([]*Box, error) {
	runDir, err := filepath.Abs(runDir)
	if err != nil {
		return nil, err
	}
	var names []string
	entries, err := os.ReadDir(runDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list the sandboxes' directories: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	mounts, err := mountsBeneath(runDir)
	if err != nil {
		return nil, err
	}
	for _, point := range mounts {
		name, _, _ := strings.Cut(strings.TrimPrefix(point, runDir+"/"), "/")
		names = append(names, name)
	}
	slices.Sort(names)
	var boxes []*Box
	for _, name := range slices.Compact(names) {
		boxes = append(boxes, &Box{dir: filepath.Join(runDir, name)})
	}
	return boxes, nil
}
