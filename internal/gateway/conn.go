package gateway

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

// conn is a connection on which
//
//   - a caller that does not take what is written to it is given up after a
//     time without progress, however much there is to write;
//   - a request whose head does not come to its end in time is answered with
//     408, where net/http closes without a word.
type conn struct {
	net.Conn
	timeout time.Duration
	phase   atomic.Int32
	// first are the first bytes, which tell HTTP/2. Only Read touches them, and
	// net/http has one Read at a time.
	first []byte
	// pending was read already, before net/http was given the connection. Only
	// Read touches it.
	pending []byte
	// all are those that it is counted among; idleSince is since when it has been
	// without a request, in nanoseconds of the wall clock, 0 while it has one and
	// closing from when it is chosen to be closed for that.
	all       *connections
	idleSince atomic.Int64
}

// The phases of a connection.
const (
	phaseFresh int32 = iota // nothing of the next request has come
	phaseHead               // some of its head has
	phaseBusy               // it is being handled
	phaseLate               // it came too late, which was answered: nothing more is
	phaseHTTP2              // the connection is HTTP/2, which has frames of its own to say so
)

const (
	http2Preface = "PRI"
	lateAnswer   = "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: "
	lateBody     = `{"type":"urn:cove:error:request_timeout","title":"The request took too long to arrive","status":408,` +
		`"detail":"the head of the request did not arrive in time","code":"request_timeout","fault":"caller"}`
)

// Read reads and keeps an eye on what is read.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.pending) > 0 {
		n := copy(p, c.pending)
		if c.pending = c.pending[n:]; len(c.pending) == 0 {
			c.pending = nil
		}
		c.seen(p[:n])
		return n, nil
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.seen(p[:n])
	}
	if err != nil && c.phase.Load() == phaseHead && errors.Is(err, os.ErrDeadlineExceeded) {
		c.late()
	}
	return n, err
}

// Write writes p in pieces that each have the timeout.
func (c *conn) Write(p []byte) (int, error) {
	if c.phase.Load() == phaseLate {
		// net/http may take the half head for a malformed one and say so too.
		return 0, net.ErrClosed
	}
	written := 0
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:min(len(p), written+piece)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

// Close closes and counts it out.
func (c *conn) Close() error {
	defer c.all.remove(c)
	return c.Conn.Close()
}

// CloseWrite lets net/http end its side first, so that an answer to a request
// that was not read to its end is not lost in a reset.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *conn) seen(p []byte) {
	if len(c.first) < len(http2Preface) {
		c.first = append(c.first, p[:min(len(p), len(http2Preface)-len(c.first))]...)
		if bytes.Equal(c.first, []byte(http2Preface)) {
			c.phase.Store(phaseHTTP2)
			return
		}
	}
	c.phase.CompareAndSwap(phaseFresh, phaseHead)
}

// closing is the idleSince of a connection that must not begin a request any more.
const closing = -1

// begin notes that a request has come. It is false where the connection is being
// closed, so that nobody could be told the answer.
func (c *conn) begin() bool {
	for {
		since := c.idleSince.Load()
		if since == closing {
			return false
		}
		if c.idleSince.CompareAndSwap(since, 0) {
			return true
		}
	}
}

// closeIdle closes the connection, unless a request has come after since.
func (c *conn) closeIdle(since int64) {
	if c.idleSince.CompareAndSwap(since, closing) {
		_ = c.Close()
	}
}

// state follows net/http: active once a head was read, idle once it was
// answered.
func (c *conn) state(s http.ConnState) {
	switch s {
	case http.StateActive:
		c.begin()
	case http.StateIdle:
		c.all.idled(c)
	}
	phase := c.phase.Load()
	switch {
	case phase == phaseHTTP2, phase == phaseLate:
	case s == http.StateActive:
		c.phase.Store(phaseBusy)
	case s == http.StateIdle:
		c.phase.Store(phaseFresh)
	}
}

func (c *conn) late() {
	c.phase.Store(phaseLate)
	_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
	answer := append([]byte(lateAnswer), strconv.Itoa(len(lateBody))...)
	answer = append(answer, "\r\n\r\n"+lateBody...)
	_, _ = c.Conn.Write(answer)
}
