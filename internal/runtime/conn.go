package runtime

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/covefn/cove"
)

const (
	// bufferSize is that of the pooled buffers. A frame that fits is read in
	// one system call and written in one from one piece of memory.
	bufferSize = 32 << 10
	// shutdownTimeout bounds the writing of a SHUTDOWN.
	shutdownTimeout = 100 * time.Millisecond
)

// buffers holds what a Conn needs only while a call runs, so that an idle
// instance costs the host no buffer. It caches memory and holds no state.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Options are the settings of a Conn.
type Options struct {
	// MaxAnswer is the largest payload of an answer in bytes; 0 or more than
	// MaxPayload mean MaxPayload.
	MaxAnswer int64
}

// Conn is the host's end of the runtime protocol with one shim. It has no
// goroutine of its own: frames are read by who waits for them. Its methods must
// be called by one goroutine at a time, but Close, which may be called by
// anybody at any time and makes the others return.
//
// Errors are of two kinds. A *cove.Error (errors.As) is the function's doing and
// leaves the Conn as it was, unless Usable says otherwise. Every other error (see
// ErrEnded, ErrNotAccepted, ErrProtocol, and os.ErrDeadlineExceeded) is its end.
type Conn struct {
	c         net.Conn
	unix      bool
	maxAnswer int
	ids       *rand.ChaCha8

	// buf[r:w] is what was read and not used yet; nil while there is nothing.
	buf  *[bufferSize]byte
	r, w int
	// begun says that something has come since the last frame was written.
	begun bool
	// preparing says that a PREPARED has been promised and not come yet.
	preparing bool
	// streaming is the id of the call whose streamed answer is being read.
	streaming uint64
	chunk     []byte
	broken    error
}

// NewConn makes a Conn of the stream c, which it owns from now on.
func NewConn(c net.Conn, o Options) *Conn {
	maxAnswer := o.MaxAnswer
	if maxAnswer <= 0 || maxAnswer > MaxPayload {
		maxAnswer = MaxPayload
	}
	var seed [32]byte
	crand.Read(seed[:]) // Never fails: it ends the process instead.
	return &Conn{c: c, unix: isUnix(c), maxAnswer: int(maxAnswer), ids: rand.NewChaCha8(seed)}
}

// Usable says whether another call can be made: nothing has broken the stream
// and no streamed answer is still to be read.
func (c *Conn) Usable() bool { return c.broken == nil && c.streaming == 0 }

// Hello waits for the shim's first frame. ctx bounds the wait.
func (c *Conn) Hello(ctx context.Context) (Hello, error) {
	var h Hello
	err := c.bounded(ctx, func() error {
		t, id, n, err := c.header()
		if err != nil {
			return err
		}
		if t != FrameHello || id != 0 || n > MaxError {
			return protocolError("frame %#x of %d bytes instead of HELLO", t, n)
		}
		body, err := c.body(n)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, &h); err != nil {
			return protocolError("HELLO: %v", err)
		}
		if h.Protocol != ProtocolVersion {
			return protocolError("the shim speaks version %d of the protocol, this Cove version %d", h.Protocol, ProtocolVersion)
		}
		c.preparing = h.Prepares
		return nil
	})
	return h, err
}

// Prepared waits until the shim has done all that it can do before INIT, so that
// Init takes the least time. It is for stem cells: Init may be called without it,
// and then does that waiting itself. ctx bounds the wait; when it ends, the Conn
// has.
func (c *Conn) Prepared(ctx context.Context) error {
	if !c.preparing {
		return c.broken
	}
	return c.bounded(ctx, func() error {
		t, id, n, err := c.header()
		if err != nil {
			return err
		}
		return c.prepared(t, id, n)
	})
}

// prepared takes the frame that was promised.
func (c *Conn) prepared(t FrameType, id uint64, n int) error {
	if t != FramePrepared || id != 0 || n != 0 {
		return protocolError("frame %#x with id %#x where PREPARED was to come", t, id)
	}
	c.preparing = false
	return nil
}

// Init gives the shim its function and waits until its handler is imported.
// ctx bounds the wait. A handler that cannot be loaded is a *cove.Error of
// CodeInitError with what the function's language said.
func (c *Conn) Init(ctx context.Context, init Init) error {
	body, err := json.Marshal(init)
	if err != nil {
		return fmt.Errorf("encode INIT: %w", err)
	}
	if len(body) > MaxHead {
		return cove.Errorf(cove.CodeTooLarge, "the function's configuration is larger than %d bytes", MaxHead)
	}
	return c.bounded(ctx, func() error {
		frame := append(beginFrame(make([]byte, 0, headerSize+len(body)), FrameInit, 0), body...)
		endFrame(frame, 0)
		c.begun = false
		if _, err := c.c.Write(frame); err != nil {
			return writeError(err)
		}
		t, id, n, err := c.header()
		if err == nil && c.preparing && t == FramePrepared {
			if err = c.prepared(t, id, n); err == nil {
				t, id, n, err = c.header()
			}
		}
		c.preparing = false // A shim that INIT found at work may leave it out.
		switch {
		case err != nil:
			return err
		case t == FrameReady && id == 0 && n == 0:
			return nil
		case t != FrameInitError || id != 0:
			return protocolError("frame %#x with id %#x in answer to INIT", t, id)
		}
		f, err := c.functionError(n)
		if err != nil {
			return err
		}
		return &cove.Error{Code: cove.CodeInitError, Message: f.Type + ": " + f.Message, Function: f}
	})
}

// bounded runs f with ctx's deadline on the stream, and makes f return when
// ctx is cancelled.
func (c *Conn) bounded(ctx context.Context, f func() error) error {
	if err := c.ready(); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	if err := c.c.SetDeadline(deadline); err != nil {
		return c.breaks(fmt.Errorf("%w: %w", ErrEnded, err))
	}
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(set)
		_ = c.c.SetDeadline(time.Unix(1, 0))
	})
	err := f()
	stopped := stop()
	if !stopped {
		<-set // Later it would end the next call.
	}
	if !stopped && err != nil && errors.Is(ctx.Err(), context.Canceled) {
		err = fmt.Errorf("%w: %w", ErrEnded, context.Cause(ctx))
	}
	return c.done(err)
}

// Invoke makes one call and reads its answer, on the caller's goroutine.
// Deadline bounds both; zero means none. inv.TimeoutMS, if zero, is counted
// from deadline. inv is not kept.
//
// An Answer with Stream set must be read to its end with Next before the next
// call, and only KindHTTP has such answers: the pieces of a direct one are
// joined here. The Answer's Payload belongs to the caller. It is what the handler
// said, which need not be JSON where it streamed.
//
// An error that the handler ended with is a *cove.Error with Function set. So is
// an answer past MaxAnswer (CodeResponseTooLarge) or with headers that HTTP
// cannot carry (CodeInvalidResponse), and a payload or an event past the
// protocol's limits (CodeTooLarge; nothing was sent).
func (c *Conn) Invoke(deadline time.Time, inv *Invoke) (*Answer, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	if len(inv.Payload) > MaxPayload {
		return nil, cove.Errorf(cove.CodeTooLarge, "the payload has %d bytes; at most %d can be passed to a function", len(inv.Payload), MaxPayload)
	}
	id := c.ids.Uint64() | 1 // Never 0, which is the id of frames that belong to no call.
	if err := c.c.SetDeadline(deadline); err != nil {
		return nil, c.breaks(fmt.Errorf("%w: %w", ErrNotAccepted, err))
	}
	begin := time.Now()
	if err := c.writeInvoke(id, deadline, begin, inv); err != nil {
		return nil, c.done(err)
	}
	a, err := c.readAnswer(id, inv.Kind)
	if err = c.done(err); err != nil {
		return nil, err
	}
	a.Took = time.Since(begin)
	return a, nil
}

// writeInvoke writes one INVOKE in one system call.
func (c *Conn) writeInvoke(id uint64, deadline, now time.Time, inv *Invoke) error {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	b, err := appendInvoke(buf[:0], id, deadline, now, inv)
	if err != nil {
		return err
	}
	c.begun = false
	if _, err := c.send(b, inv.Payload); err != nil {
		return writeError(err)
	}
	return nil
}

// appendInvoke appends an INVOKE without its payload, whose length it counts.
func appendInvoke(b []byte, id uint64, deadline, now time.Time, inv *Invoke) ([]byte, error) {
	timeout := inv.TimeoutMS
	if timeout == 0 && !deadline.IsZero() {
		timeout = max(deadline.Sub(now).Milliseconds(), 0)
	}
	b = append(beginFrame(b, FrameInvoke, id), 0, 0, 0, 0)
	b = appendInvokeHead(b, inv, timeout)
	n := len(b) - headerSize - 4
	if n > MaxHead {
		return nil, cove.Errorf(cove.CodeTooLarge, "the request's event has %d bytes without its body; at most %d can be passed to a function", n, MaxHead)
	}
	binary.BigEndian.PutUint32(b[headerSize:], uint32(n))
	endFrame(b, len(inv.Payload))
	return b, nil
}

// send writes a frame and what follows it, together where both are small.
func (c *Conn) send(b, payload []byte) (int64, error) {
	if len(b)+len(payload) <= bufferSize {
		n, err := c.c.Write(append(b, payload...))
		return int64(n), err
	}
	parts := net.Buffers{b, payload}
	return parts.WriteTo(c.c)
}

// readAnswer reads the first frame of the answer to id, and all of it unless
// it is a stream for HTTP.
func (c *Conn) readAnswer(id uint64, kind cove.Kind) (*Answer, error) {
	t, got, n, err := c.header()
	if err != nil {
		return nil, err
	}
	if got != id {
		return nil, protocolError("frame %#x with id %#x, which is not of the running call", t, got)
	}
	switch t {
	case FrameResult:
		return c.readResult(kind, n)
	case FrameError:
		f, err := c.functionError(n)
		if err != nil {
			return nil, err
		}
		return nil, functionError(f)
	case FrameStream:
		return c.beginStream(id, kind, n)
	}
	return nil, protocolError("frame %#x in answer to INVOKE", t)
}

func (c *Conn) readResult(kind cove.Kind, n int) (*Answer, error) {
	if n < 4 {
		return nil, protocolError("a RESULT of %d bytes", n)
	}
	b, err := c.body(4)
	if err != nil {
		return nil, err
	}
	head := int(binary.BigEndian.Uint32(b))
	if head > MaxHead || head > n-4 {
		return nil, protocolError("a RESULT whose head has %d bytes in a frame of %d", head, n)
	}
	size := n - 4 - head
	if size > c.maxAnswer {
		// The shim was told the limit and must have refused the answer itself:
		// this one does not keep to the protocol, and nothing more is read of it.
		err := cove.Errorf(cove.CodeResponseTooLarge, "the answer has %d bytes; at most %d are allowed", size, c.maxAnswer)
		_ = c.breaks(protocolError("%s", err.Message))
		return nil, err
	}
	a := &Answer{}
	b, err = c.body(head)
	if err != nil {
		return nil, err
	}
	var invalid error
	if kind == cove.KindHTTP {
		// The payload is read all the same: the stream stays in step.
		a.Head, invalid = decodeHead(b)
	}
	a.Payload = make([]byte, size)
	if err := c.readFull(a.Payload); err != nil {
		return nil, err
	}
	return a, invalid
}

func (c *Conn) beginStream(id uint64, kind cove.Kind, n int) (*Answer, error) {
	if n > MaxHead {
		return nil, protocolError("a STREAM of %d bytes", n)
	}
	b, err := c.body(n)
	if err != nil {
		return nil, err
	}
	c.streaming = id
	if kind != cove.KindHTTP {
		return c.join()
	}
	h, err := decodeHead(b)
	if err != nil {
		// What follows the head has no reader.
		_ = c.breaks(protocolError("%v", err))
		return nil, err
	}
	return &Answer{Head: h, Stream: true}, nil
}

// join reads a streamed answer whole.
func (c *Conn) join() (*Answer, error) {
	var whole []byte
	for {
		piece, err := c.next()
		switch {
		case errors.Is(err, io.EOF):
			return &Answer{Payload: whole}, nil
		case err != nil:
			return nil, err
		case len(whole)+len(piece) > c.maxAnswer:
			err := cove.Errorf(cove.CodeResponseTooLarge, "the answer has more than %d bytes", c.maxAnswer)
			_ = c.breaks(protocolError("%s", err.Message))
			return nil, err
		}
		whole = append(whole, piece...)
	}
}

// Next is the next piece of a streamed answer, valid until the next call of a
// method, and io.EOF at its end. The deadline is that of Invoke. A stream that
// the handler broke off ends with a *cove.Error with Function set; the Conn is
// then usable again, as it is after io.EOF.
func (c *Conn) Next() ([]byte, error) {
	if c.broken != nil {
		return nil, c.broken
	}
	if c.streaming == 0 {
		return nil, io.EOF
	}
	piece, err := c.next()
	if errors.Is(err, io.EOF) {
		_ = c.done(nil)
		return nil, io.EOF
	}
	return piece, c.done(err)
}

func (c *Conn) next() ([]byte, error) {
	t, id, n, err := c.header()
	switch {
	case err != nil:
		return nil, err
	case id != c.streaming:
		return nil, protocolError("frame %#x with id %#x, which is not of the running call", t, id)
	case t == FrameChunk && n > 0 && n <= MaxChunk:
		return c.body(n)
	case t == FrameEnd && n == 0:
		c.streaming = 0
		return nil, io.EOF
	case t == FrameEnd:
		f, err := c.functionError(n)
		if err != nil {
			return nil, err
		}
		c.streaming = 0
		return nil, functionError(f)
	}
	return nil, protocolError("frame %#x of %d bytes within a streamed answer", t, n)
}

// Shutdown asks the shim to end. It waits for nothing: the sandbox's Wait says
// when it has. No call can be made after it.
func (c *Conn) Shutdown() {
	if c.broken != nil {
		return
	}
	frame := beginFrame(make([]byte, 0, headerSize), FrameShutdown, 0)
	endFrame(frame, 0)
	_ = c.c.SetWriteDeadline(time.Now().Add(shutdownTimeout))
	_, _ = c.c.Write(frame)
	_ = c.breaks(fmt.Errorf("%w: it was told to shut down", ErrEnded))
}

// Close closes the stream; the shim ends when it sees that. It is safe at any
// time and more than once.
func (c *Conn) Close() error { return c.c.Close() }

// ready says why no frame can be sent now.
func (c *Conn) ready() error {
	if c.broken != nil {
		return c.broken
	}
	if c.streaming != 0 {
		return errors.New("runtime: a call while a streamed answer is being read")
	}
	return nil
}

// done ends a step with its outcome: an error that is not the function's breaks
// the Conn, and so does anything that came behind a whole answer, because
// nothing was asked for that it could belong to.
func (c *Conn) done(err error) error {
	var function *cove.Error
	if err != nil && !errors.As(err, &function) {
		err = c.breaks(err)
	}
	if c.streaming == 0 && !c.preparing && c.r < c.w && c.broken == nil {
		_ = c.breaks(protocolError("%d bytes behind the end of an answer", c.w-c.r))
	}
	if c.r == c.w || c.broken != nil {
		c.release()
	}
	if c.streaming == 0 {
		c.chunk = nil
	}
	return err
}

// breaks notes that the stream is of no further use; the first reason stays.
func (c *Conn) breaks(err error) error {
	if c.broken == nil {
		c.broken = err
	}
	return err
}

// release gives the read buffer back, unless a piece that Next returned may
// still lie in it.
func (c *Conn) release() {
	if c.buf == nil || (c.streaming != 0 && c.broken == nil) {
		return
	}
	buffers.Put(c.buf)
	c.buf, c.r, c.w = nil, 0, 0
}
