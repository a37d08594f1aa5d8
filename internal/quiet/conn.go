package quiet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection of a unix stream socket that wakes nobody without need. It is
// a net.Conn in every other respect; all its methods are safe for concurrent use.
//
// Go's poller watches not the socket, but an epoll instance that watches the socket
// for something to read alone (epoll instances nest, see epoll(7)). What there is no
// room to write waits at a second one, which is made when that happens first.
type Conn struct {
	socket        uintptr
	local, remote net.Addr

	// readable is the epoll instance. Everything that uses the socket does so under
	// it: its Close waits for whoever is at it, so that the socket's number is not
	// used once it is another's.
	readable *os.File
	raw      syscall.RawConn

	reading struct {
		sync.Mutex
		p   []byte
		n   int
		err error
		try func(uintptr) bool
	}
	writing struct {
		sync.Mutex
		p   []byte
		n   int
		err error
		try func(uintptr) bool
	}

	mu sync.Mutex
	// writable is nil until it is needed; deadline is that of writing.
	writable *os.File
	deadline time.Time
	closed   bool
}

// New makes a Conn of the connection c, which it closes in every case: Go's poller
// has it and would not let go of it otherwise.
func New(c *net.UnixConn) (*Conn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	var socket int
	var failed error
	err = raw.Control(func(fd uintptr) { socket, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	local, remote := c.LocalAddr(), c.RemoteAddr()
	err = errors.Join(err, os.NewSyscallError("fcntl", failed))
	if closed := c.Close(); err != nil {
		return nil, errors.Join(err, closed)
	}
	return newConn(socket, local, remote)
}

// newConn makes a Conn of a socket that does not block, which it owns from now on,
// and which it closes where it fails.
func newConn(socket int, local, remote net.Addr) (*Conn, error) {
	c := &Conn{socket: uintptr(socket), local: local, remote: remote}
	var err error
	if c.readable, err = watch(socket, unix.EPOLLIN); err == nil {
		c.raw, err = c.readable.SyscallConn()
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(socket))
	}
	c.reading.try, c.writing.try = c.tryRead, c.tryWrite
	return c, nil
}

// watch is an epoll instance that watches one socket for events. It is a file that
// is readable when one of them is there.
func watch(socket int, events uint32) (*os.File, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Events: events, Fd: int32(socket)})
	if err == nil {
		// Without this Go would not take it for something that can be waited for.
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch a socket: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r := &c.reading
	r.Lock()
	defer r.Unlock()
	r.p, r.n, r.err = p, 0, nil
	err := c.raw.Read(r.try)
	r.p = nil
	if err == nil {
		err = r.err
	}
	if err != nil {
		return 0, c.opError("read", err)
	}
	if r.n == 0 {
		return 0, io.EOF
	}
	return r.n, nil
}

// tryRead is false when there is nothing yet.
func (c *Conn) tryRead(uintptr) bool {
	r := &c.reading
	r.n, r.err = Read(c.socket, r.p)
	return r.err != syscall.EAGAIN
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	w := &c.writing
	w.Lock()
	defer w.Unlock()
	written := 0
	for written < len(p) {
		w.p = p[written:]
		err := c.raw.Write(w.try)
		w.p = nil
		if err == nil {
			err = w.err
		}
		switch {
		case err == nil:
			written += w.n
		case err == syscall.EAGAIN:
			err = c.waitForRoom()
		}
		if err != nil {
			return written, c.opError("write", err)
		}
	}
	return written, nil
}

// tryWrite never waits: what it would wait at is watched for reading alone.
func (c *Conn) tryWrite(uintptr) bool {
	w := &c.writing
	w.n, w.err = Write(c.socket, w.p)
	return true
}

// waitForRoom waits until something can be written again, or that has failed.
func (c *Conn) waitForRoom() error {
	room, err := c.room()
	if err != nil {
		return err
	}
	raw, err := room.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		var event [1]unix.EpollEvent
		n, err := unix.EpollWait(int(fd), event[:], 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			failed = err
		}
		return n > 0 || failed != nil
	})
	return errors.Join(err, failed)
}

// room is the epoll instance that watches for room to write.
func (c *Conn) room() (*os.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case c.writable != nil:
		return c.writable, nil
	}
	room, err := watch(int(c.socket), unix.EPOLLOUT)
	if err != nil {
		return nil, err
	}
	c.writable = room
	return room, room.SetReadDeadline(c.deadline)
}

// opError says it as the package net does: net.ErrClosed after Close,
// os.ErrDeadlineExceeded past the deadline.
func (c *Conn) opError(op string, err error) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	var errno syscall.Errno
	switch {
	case closed:
		err = net.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = os.ErrDeadlineExceeded
	case errors.As(err, &errno):
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "unix", Source: c.local, Addr: c.remote, Err: err}
}

// Close implements net.Conn. It makes those return that read and write, and waits
// until they have left the socket.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	room := c.writable
	c.mu.Unlock()
	var errs []error
	if room != nil {
		errs = append(errs, room.Close())
	}
	errs = append(errs, c.readable.Close(), unix.Close(int(c.socket)))
	return errors.Join(errs...)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if err := c.readable.SetReadDeadline(t); err != nil {
		return c.opError("set", err)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if err := c.setWriteDeadline(t); err != nil {
		return c.opError("set", err)
	}
	return nil
}

func (c *Conn) setWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	err := c.readable.SetWriteDeadline(t)
	if err == nil && c.writable != nil {
		err = c.writable.SetReadDeadline(t)
	}
	return err
}

// SyscallConn implements syscall.Conn, with Control alone: the other two would wait
// at the wrong place.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return rawConn{c}, nil }

type rawConn struct{ c *Conn }

// Control implements syscall.RawConn.
func (r rawConn) Control(f func(fd uintptr)) error {
	return r.c.raw.Control(func(uintptr) { f(r.c.socket) })
}

// Read implements syscall.RawConn: it is not there.
func (r rawConn) Read(func(fd uintptr) bool) error { return errors.ErrUnsupported }

// Write implements syscall.RawConn: it is not there.
func (r rawConn) Write(func(fd uintptr) bool) error { return errors.ErrUnsupported }

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)
