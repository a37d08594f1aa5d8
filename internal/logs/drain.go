package logs

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/covefn/cove/internal/quiet"
)

// drainSize is that of the buffer that output is read into.
const drainSize = 32 << 10

// Drain reads what a sandbox writes to stdout and stderr until the end of both, and
// closes the stream then. It must be called once, before the first Begin, and on a
// goroutine of its own.
//
// Where both are sockets of this host and one invocation runs at a time, it needs
// no markers: what a process has written before it answers is in the sockets'
// queues when the answer is in the third one's, so Segment.End finds all of it
// there. See docs/adr/0018.
func (s *Stream) Drain(stdout, stderr io.Reader) {
	defer s.Close()
	raw := [2]syscall.RawConn{rawConn(stdout), rawConn(stderr)}
	s.mu.Lock()
	s.inputs[1].open = true
	if raw[0] != nil && raw[1] != nil {
		s.local = s.shared == nil
		s.inputs[0].raw, s.inputs[1].raw = raw[0], raw[1]
	}
	s.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { s.inputs[1].drain(stderr) })
	s.inputs[0].drain(stdout)
	both.Wait()
}

// drain reads one of the two until its end.
func (in *input) drain(output io.Reader) {
	defer in.close()
	if in.raw != nil {
		for {
			n := 0
			err := in.raw.Read(func(fd uintptr) (done bool) {
				n, done = in.readNow(fd)
				return done
			})
			if err != nil || n <= 0 {
				break
			}
		}
	}
	// Reading past the end tells whoever made output that it was read.
	_, _ = io.Copy(writerOnly{in}, output)
}

// close says that one of the two has come to its end.
func (in *input) close() {
	s := in.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	in.open = false
	lines := in.rest()
	if s.shared == nil {
		lines = append(lines, s.settle()...)
	}
	s.publish(lines)
}

// writerOnly hides everything else that an input can do from io.Copy.
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
func (in *input) readNow(fd uintptr) (n int, done bool) {
	in.stream.reading.Lock()
	defer in.stream.reading.Unlock()
	buf := in.stream.book.buffer()
	defer in.stream.book.buffers.Put(buf)
	n, err := quiet.Read(fd, buf[:])
	if errors.Is(err, unix.EAGAIN) {
		return 0, false
	}
	if n > 0 {
		_, _ = in.Write(buf[:n])
	}
	return n, true
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
	for i := range s.inputs {
		s.inputs[i].readRest()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index(g) < 0 {
		return
	}
	lines := append(s.inputs[0].rest(), s.inputs[1].rest()...)
	s.publish(append(lines, s.end(g)...))
}

// readRest reads what is there. What it cannot read, because the stream has come
// to its end, its drainer does. It is not called before raw is set for good.
func (in *input) readRest() { _ = in.raw.Control(in.atEnd) }

// readRestOf is readRest of the input's own descriptor.
func (in *input) readRestOf(fd uintptr) {
	var small [512]byte // Most invocations print little or nothing.
	n, err := quiet.Read(fd, small[:])
	if err != nil || n <= 0 {
		return
	}
	_, _ = in.Write(small[:n])
	if n < len(small) {
		return
	}
	buf := in.stream.book.buffer()
	defer in.stream.book.buffers.Put(buf)
	// What is printed without end must not hold up the answer: beyond the limit
	// nothing is kept, and what waited when the answer came was less.
	for left := invocationLimit; err == nil && n > 0 && left > 0; left -= n {
		if n, err = quiet.Read(fd, buf[:]); err == nil && n > 0 {
			_, _ = in.Write(buf[:n])
		}
	}
}

// buffer is one to read output into; it is given back to buffers. A sandbox that
// prints nothing holds none.
func (b *Book) buffer() *[drainSize]byte {
	if buf, ok := b.buffers.Get().(*[drainSize]byte); ok {
		return buf
	}
	return new([drainSize]byte)
}
