package logs

import (
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// drainSize is that of the buffer that output is read into.
const drainSize = 32 << 10

// Drain reads a sandbox's output until its end and closes the stream then. It
// must be called once, before the first Begin, and on a goroutine of its own.
//
// Where output is a socket of this host and one invocation runs at a time, it
// needs no markers: what a process has written before it answers is in the
// socket's queue when the answer is in the other one's, so Segment.End finds all
// of it there. See docs/adr/0018.
func (s *Stream) Drain(output io.Reader) {
	defer s.Close()
	raw := rawConn(output)
	if raw == nil || s.isShared() {
		s.copy(output)
		return
	}
	s.mu.Lock()
	s.raw = raw
	s.mu.Unlock()
	buf := make([]byte, drainSize)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) (done bool) {
			n, done = s.readNow(fd, buf)
			return done
		})
		if err != nil || n <= 0 {
			break
		}
	}
	// Reading past the end tells whoever made output that it was read.
	s.copy(output)
}

func (s *Stream) copy(output io.Reader) { _, _ = io.Copy(writerOnly{s}, output) }

// writerOnly hides everything else that a Stream can do from io.Copy.
type writerOnly struct{ io.Writer }

// rawConn is what reads output without waiting, nil if there is no such thing.
func rawConn(output io.Reader) syscall.RawConn {
	c, ok := output.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readNow reads once what is there. Reading and taking what was read are one
// step, so that End, which does the same, comes behind all of it. done is false
// when there is nothing yet.
func (s *Stream) readNow(fd uintptr, buf []byte) (n int, done bool) {
	s.reading.Lock()
	defer s.reading.Unlock()
	n, err := read(fd, buf)
	if errors.Is(err, unix.EAGAIN) {
		return 0, false
	}
	if n > 0 {
		_, _ = s.Write(buf[:n])
	}
	return n, true
}

func read(fd uintptr, buf []byte) (int, error) {
	for {
		n, err := unix.Read(int(fd), buf)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// End ends the segment of an invocation whose answer has been read, with all that
// it has printed. It does nothing where the marker tells.
func (g *Segment) End() {
	s := g.stream
	if len(g.marker) > 0 {
		return
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	s.readRest()
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []Line
	if s.index(g) < 0 {
		return
	}
	if len(s.buf) > 0 {
		lines = s.keep(s.buf)
		s.buf, s.clean = s.buf[:0], 0
	}
	s.publish(append(lines, s.end(g)...))
}

// readRest reads what is there. What it cannot read, because the stream has come
// to its end, its drainer does.
func (s *Stream) readRest() {
	s.mu.Lock()
	raw := s.raw
	s.mu.Unlock()
	if raw == nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		var small [512]byte // Most invocations print little or nothing.
		buf := small[:]
		for {
			n, err := read(fd, buf)
			if err != nil || n <= 0 {
				return
			}
			_, _ = s.Write(buf[:n])
			if n == len(buf) && len(buf) < drainSize {
				buf = make([]byte, drainSize)
			}
		}
	})
}

func (s *Stream) isShared() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shared != nil
}
