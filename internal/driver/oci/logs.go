package oci

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// logStream is the host's end of one of the two streams of a sandbox's log. It closes itself at its end,
// so whoever drains it need not, and finish closes it where nobody does.
type logStream struct {
	conn net.Conn
	once sync.Once
	end  chan struct{} // closed at the end of the stream

	mu   sync.Mutex
	used bool
}

func newLogStream(conn net.Conn) *logStream {
	return &logStream{conn: conn, end: make(chan struct{})}
}

// Read implements io.Reader.
func (l *logStream) Read(p []byte) (int, error) {
	l.mu.Lock()
	l.used = true
	l.mu.Unlock()
	n, err := l.conn.Read(p)
	if err != nil {
		l.close()
	}
	return n, err
}

// SyscallConn implements syscall.Conn: whoever asks for it reads from now on.
func (l *logStream) SyscallConn() (syscall.RawConn, error) {
	l.mu.Lock()
	l.used = true
	l.mu.Unlock()
	c, ok := l.conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.SyscallConn()
}

func (l *logStream) close() {
	l.once.Do(func() {
		_ = l.conn.Close()
		close(l.end)
	})
}

// drainPatience is how long the last lines of a dead sandbox may take to be
// read.
const drainPatience = 500 * time.Millisecond

// finish closes the stream of a sandbox that is dead, after whoever reads it
// has come to its end.
func (l *logStream) finish() {
	l.mu.Lock()
	used := l.used
	l.mu.Unlock()
	if used {
		select {
		case <-l.end:
		case <-time.After(drainPatience):
		}
	}
	l.close()
}
