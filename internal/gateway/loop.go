package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/covefn/cove/internal/quiet"
)

const (
	// loopBuffer holds what has come and was not read yet. A request whose head
	// does not fit is net/http's.
	loopBuffer = 8 << 10
	// deadlineSlack is by how much a connection may be closed too late: a deadline
	// that is right but for that is not set anew for each request.
	deadlineSlack = 100 * time.Millisecond
	// lingerTime is for how long a connection stays open that is closed with a body
	// under way, so that its caller sees the answer and not a reset, and lingerSize
	// how much of the body is read meanwhile.
	lingerTime = 500 * time.Millisecond
	lingerSize = 256 << 10
)

// loop serves one connection on one goroutine, from the first request until one
// comes that is not of the usual form; that one and all that follow are
// net/http's, with every byte of it (see docs/adr/0023). Unlike there, nothing
// waits for a second request, or for the end of the connection, while the first
// one is served.
type loop struct {
	server *Server
	conn   *conn
	raw    syscall.RawConn
	remote string

	// buf[r:w] is what has come and was not read yet.
	buf  []byte
	r, w int
	// deadline is the connection's for reading.
	deadline time.Time

	head     head
	body     body
	reply    reply
	presence *presence

	// reading and writing are tryRead and tryWrite as RawConn wants them. The former
	// reads into buf and says how much came; out and sent are what the latter is given
	// and what it says.
	reading func(fd uintptr) bool
	came    int
	failed  error
	writing func(fd uintptr) bool
	out     []byte
	sent    int
}

// serve serves c until its end, or until it is handed over.
func (s *Server) serve(c *conn) {
	tcp, ok := c.Conn.(syscall.Conn)
	if !ok {
		s.handed.give(c)
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		_ = c.Close()
		return
	}
	l := &loop{server: s, conn: c, raw: raw, remote: c.RemoteAddr().String(), buf: make([]byte, loopBuffer)}
	l.body.l, l.reply.l, l.reading, l.writing = l, l, l.tryRead, l.tryWrite
	if l.run() {
		c.pending = l.buf[l.r:l.w]
		s.handed.give(c)
		return
	}
	_ = c.Close()
}

// run serves requests. It is true when the connection is to be handed over.
func (l *loop) run() bool {
	timeout := l.server.opts.HeadTimeout
	for {
		if l.r == l.w {
			l.r, l.w = 0, 0
			l.wait(timeout)
			if l.raw.Read(l.reading) != nil || l.failed != nil || l.came == 0 {
				return false
			}
			l.w = l.came
		} else if l.r > 0 {
			l.w = copy(l.buf, l.buf[l.r:l.w])
			l.r = 0
		}
		request := &http.Request{}
		n := l.head.read(l.buf[l.r:l.w], request)
		if n == 0 {
			l.setReadDeadline(time.Time{})
			return true
		}
		l.r += n
		if !l.conn.begin() || !l.answer(request) {
			return false
		}
		l.head.over()
		l.conn.all.idled(l.conn)
		timeout = l.server.opts.IdleTimeout
	}
}

// wait sets the time for the next request to come.
func (l *loop) wait(timeout time.Duration) {
	want := time.Now().Add(timeout)
	if early := want.Sub(l.deadline); early < 0 || early > min(deadlineSlack, timeout/10) {
		l.setReadDeadline(want)
	}
}

func (l *loop) setReadDeadline(t time.Time) {
	l.deadline = t
	_ = l.conn.SetReadDeadline(t)
}

// answer serves one request. It is false when the connection must be closed.
func (l *loop) answer(r *http.Request) bool {
	l.presence = &presence{l: l, began: time.Now()}
	l.body.left.Store(r.ContentLength)
	l.body.deadline = time.Time{}
	r.Body, r.RemoteAddr = http.NoBody, l.remote
	if r.ContentLength > 0 {
		r.Body = &l.body
	}
	l.reply.reset(r)
	whole := l.handle(r.WithContext(l.presence))
	l.presence.over()
	if !whole || l.reply.finish() != nil {
		return false
	}
	if l.body.left.Load() > 0 {
		l.linger()
		return false
	}
	return !l.reply.close
}

// handle is false after a panic, which is how a handler says that what it has
// sent is to be cut off.
func (l *loop) handle(r *http.Request) (whole bool) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			l.server.opts.Log.Error("the gateway's server ended a request in a panic", "panic", p)
		}
	}()
	l.server.handler.ServeHTTP(&l.reply, r)
	return true
}

// linger ends the answers and reads what still comes, for a while. Who sends more
// than that finds nobody reading, but no reset before the answer was there to be
// read.
func (l *loop) linger() {
	_ = l.conn.CloseWrite()
	until := time.Now().Add(lingerTime)
	l.setReadDeadline(until)
	n, _ := io.CopyBuffer(io.Discard, onlyReader{io.LimitReader(l.conn.Conn, lingerSize)}, l.buf)
	if n == lingerSize {
		select {
		case <-time.After(time.Until(until)):
		case <-l.server.cut:
		}
	}
}

// onlyReader hides how else its reader could be read, with more memory.
type onlyReader struct{ io.Reader }

// send writes p: at once, as nearly always there is room for it, and else with
// the time that a caller has to take it. That is tried also where the first way
// fails: it does when the time has passed that an earlier answer was given.
func (l *loop) send(p []byte) error {
	l.out, l.sent = p, 0
	err := l.raw.Write(l.writing)
	l.out = nil
	if l.sent < len(p) {
		_, err = l.conn.Write(p[l.sent:])
	}
	return err
}

// tryRead is false when there is nothing yet.
func (l *loop) tryRead(fd uintptr) bool {
	l.came, l.failed = quiet.Read(fd, l.buf)
	return l.failed != syscall.EAGAIN
}

// tryWrite writes what there is room for. What fails is tried again by others,
// who can say why.
func (l *loop) tryWrite(fd uintptr) bool {
	l.sent, _ = quiet.Write(fd, l.out)
	return true
}

// body is that of the running request.
type body struct {
	l *loop
	// left is how much of it was not read yet.
	left     atomic.Int64
	deadline time.Time
}

// Read reads what has come with the head, and then from the connection.
func (b *body) Read(p []byte) (int, error) {
	l, left := b.l, b.left.Load()
	if left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > left {
		p = p[:left]
	}
	var n int
	var err error
	if l.r < l.w {
		n = copy(p, l.buf[l.r:l.w])
		l.r += n
	} else {
		if !l.deadline.Equal(b.deadline) {
			l.setReadDeadline(b.deadline)
		}
		n, err = l.conn.Conn.Read(p)
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	}
	if b.left.Add(-int64(n)) == 0 {
		err = io.EOF // Now, so that nobody has to ask again.
	}
	return n, err
}

// Close does nothing: what is left is seen to by the loop.
func (b *body) Close() error { return nil }

// handed is the listener of the connections that are net/http's.
type handed struct {
	conns chan *conn
	addr  net.Addr
	once  sync.Once
	done  chan struct{}
}

func newHanded() *handed {
	return &handed{conns: make(chan *conn), done: make(chan struct{})}
}

// give hands c over, or closes it where nobody takes any more.
func (h *handed) give(c *conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close()
	}
}

// Accept is the next of them.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is that of the gateway's listener.
func (h *handed) Addr() net.Addr { return h.addr }
