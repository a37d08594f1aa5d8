package quiet

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// dialled is a Conn and the connection of package net at its other end.
func dialled(t *testing.T) (*Conn, *net.UnixConn) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	peer, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(accepted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = c.Close(), peer.Close() })
	return c, peer
}

func TestAConnIsANetConn(t *testing.T) {
	t.Parallel()
	pair := func() (net.Conn, net.Conn, func(), error) {
		c, peer := dialled(t)
		return c, peer, func() { _, _ = c.Close(), peer.Close() }, nil
	}
	t.Run("at its own end", func(t *testing.T) { nettest.TestConn(t, pair) })
	t.Run("and towards one", func(t *testing.T) {
		nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
			c, peer, stop, err := pair()
			return peer, c, stop, err
		})
	})
}

func TestConn(t *testing.T) {
	t.Parallel()

	t.Run("nothing is told of what the peer reads", func(t *testing.T) {
		t.Parallel()
		c, peer := dialled(t)
		if _, err := c.Write([]byte("frame")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
		if n := events(t, c.readable); n != 0 {
			t.Errorf("the poller would be woken for %d events", n)
		}
		if _, err := peer.Write([]byte("answer")); err != nil {
			t.Fatal(err)
		}
		if n := events(t, c.readable); n != 1 {
			t.Errorf("%d events once there is something to read, want 1", n)
		}
	})

	t.Run("more than there is room for is written as the peer reads", func(t *testing.T) {
		t.Parallel()
		c, peer := dialled(t)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 256<<10)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(sent)
			failed <- errors.Join(err, c.Close())
		}()
		got, err := io.ReadAll(peer)
		if err = errors.Join(err, <-failed); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%d bytes came, not the %d that were sent", len(got), len(sent))
		}
	})

	t.Run("a write without room ends at its deadline and says how far it came", func(t *testing.T) {
		t.Parallel()
		c, peer := dialled(t)
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		written, err := c.Write(make([]byte, 4<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || written == 0 || written >= 4<<20 {
			t.Fatalf("wrote %d bytes, %v", written, err)
		}
		if err := c.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(peer, make([]byte, written)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("again")); err != nil {
			t.Errorf("a write after it: %v", err)
		}
	})

	t.Run("a peer that has gone is the end of reading, and an error of writing", func(t *testing.T) {
		t.Parallel()
		c, peer := dialled(t)
		_ = peer.Close()
		if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read %d, %v", n, err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write: %v", err)
		}
	})

	t.Run("Close wakes who waits to read and who waits for room", func(t *testing.T) {
		t.Parallel()
		c, _ := dialled(t)
		ended := make(chan error, 2)
		go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
		go func() { _, err := c.Write(make([]byte, 4<<20)); ended <- err }()
		time.Sleep(20 * time.Millisecond)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("it ended with %v", err)
			}
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second Close: %v", err)
		}
	})

	t.Run("its descriptor is that of the socket", func(t *testing.T) {
		t.Parallel()
		c, _ := dialled(t)
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var peer *unix.Ucred
		if err := errors.Join(raw.Control(func(fd uintptr) {
			peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		}), err); err != nil {
			t.Fatal(err)
		}
		if int(peer.Pid) != os.Getpid() {
			t.Errorf("the peer is process %d", peer.Pid)
		}
	})
}

// Not in parallel: it counts what the process has open.
func TestEveryDescriptorIsGivenBack(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	use := func() {
		c, peer := dialled(t)
		_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Write(make([]byte, 4<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_, _ = c.Close(), peer.Close()
	}
	use() // What Go's poller opens is open from now on.
	before := open()
	for range 10 {
		use()
	}
	if after := open(); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

func TestReadAndWrite(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	use := func(f *os.File, do func(fd uintptr)) {
		if err := control(f, do); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 8)
	use(r, func(fd uintptr) {
		if n, err := Read(fd, buf); n != 0 || err != syscall.EAGAIN {
			t.Errorf("of an empty pipe: %d, %v", n, err)
		}
	})
	use(w, func(fd uintptr) {
		if n, err := Write(fd, []byte("abc")); n != 3 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if n, err := Write(fd, nil); n != 0 || err != nil {
			t.Errorf("write of nothing: %d, %v", n, err)
		}
	})
	use(r, func(fd uintptr) {
		if n, err := Read(fd, buf); string(buf[:n]) != "abc" || err != nil {
			t.Errorf("read: %q, %v", buf[:n], err)
		}
	})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	use(f, func(fd uintptr) {
		if n, err := ReadAt(fd, buf, 4); string(buf[:n]) != "456789" || err != nil {
			t.Errorf("read at 4: %q, %v", buf[:n], err)
		}
	})
}

// events is how many events are there for who watches f.
func events(t *testing.T, f *os.File) (n int) {
	t.Helper()
	err := control(f, func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, _ = unix.Poll(fds, 20)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func control(f *os.File, do func(fd uintptr)) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(do)
}
