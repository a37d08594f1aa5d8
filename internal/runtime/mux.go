package runtime

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/covefn/cove"
)

// cancelTimeout bounds the writing of CANCELs: who gives a call up does so at
// its deadline and must not wait for a shim that reads nothing.
const cancelTimeout = 5 * time.Millisecond

// ErrGivenUp is why a Mux takes no new call for the time being: the handler of one
// that was given up may still run. It comes with ErrNotAccepted.
var ErrGivenUp = errors.New("a call that was given up has not ended yet")

// Mux makes several calls at once over one Conn, for instances whose
// concurrency is above 1. It reads with a goroutine of its own, which ends with
// the stream, and holds at most one whole answer, or one Window of a streamed
// one, for each call in flight. All its methods are safe for concurrent use.
//
// A call that passes its deadline is given up: its caller is told on time, the
// shim is sent a CANCEL, and what it answers all the same is dropped. Until it has
// answered, the handler may still run and the Mux is not Usable: calls in flight go
// on, new ones are refused with ErrNotAccepted.
type Mux struct {
	conn *Conn
	// turn is held by who writes; it has room for one.
	turn chan struct{}
	done chan struct{}

	mu sync.Mutex
	// calls are in flight, given are given up and not yet answered.
	calls map[uint64]*Caller
	given map[uint64]struct{}
	// cancels are given up and not yet told to the shim.
	cancels []uint64
	// last is the call whose INVOKE was the last frame to be written, 0 if it was
	// another frame.
	last uint64
	// broken says why nothing more is read, mute why nothing more can be written.
	broken, mute error
}

// NewMux makes a Mux of c after its Init. From now on c belongs to it and no
// method of c may be called but Close.
func NewMux(c *Conn) *Mux {
	m := &Mux{
		conn: c, turn: make(chan struct{}, 1), done: make(chan struct{}),
		calls: make(map[uint64]*Caller), given: make(map[uint64]struct{}), broken: c.ready(),
	}
	if m.broken == nil {
		// The deadlines are those of the callers; only writes are bounded here.
		if err := c.c.SetDeadline(time.Time{}); err != nil {
			m.broken = fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	go m.read()
	return m
}

// Caller is the right to make one call at a time. Any number may exist; how many
// calls the instance takes at once is what its Init said.
func (m *Mux) Caller() *Caller {
	return &Caller{m: m, more: make(chan struct{}, 1)}
}

// Usable says whether a new call can be made: the stream is whole and every call
// that was given up has ended since.
func (m *Mux) Usable() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usable() == nil
}

// usable says why no new call can be made. The lock is held.
func (m *Mux) usable() error {
	switch {
	case m.broken != nil:
		return m.broken
	case m.mute != nil:
		return m.mute
	case len(m.given) > 0:
		return ErrGivenUp
	}
	return nil
}

// Done is closed when the stream has ended or is of no further use for reading;
// every call in flight has been told by then.
func (m *Mux) Done() <-chan struct{} { return m.done }

// Shutdown asks the shim to end, as Conn.Shutdown does. No new call can be made
// after it.
func (m *Mux) Shutdown() {
	timer := time.NewTimer(shutdownTimeout)
	defer timer.Stop()
	if m.lock(timer.C) != nil {
		return
	}
	defer m.unlock()
	frame := beginFrame(make([]byte, 0, headerSize), FrameShutdown, 0)
	endFrame(frame, 0)
	_ = m.write(time.Now().Add(shutdownTimeout), 0, frame, nil)
	m.silence(fmt.Errorf("%w: it was told to shut down", ErrEnded))
}

// Close closes the stream, ends the calls in flight and waits for the Mux's
// goroutine. It is safe at any time and more than once.
func (m *Mux) Close() error {
	err := m.conn.Close()
	<-m.done
	return err
}

// lock takes the turn to write. expired ends the wait with os.ErrDeadlineExceeded.
func (m *Mux) lock(expired <-chan time.Time) error {
	select {
	case m.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case m.turn <- struct{}{}:
		return nil
	case <-expired:
		return os.ErrDeadlineExceeded
	case <-m.done:
		m.mu.Lock()
		defer m.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNotAccepted, m.broken)
	}
}

// unlock gives the turn to write back, after the CANCELs that came meanwhile.
func (m *Mux) unlock() {
	for {
		m.mu.Lock()
		ids := m.cancels
		m.cancels = nil
		if len(ids) == 0 || m.mute != nil || m.broken != nil {
			// Under the lock: who adds a CANCEL from now on finds the turn free.
			<-m.turn
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		var frames []byte
		for _, id := range ids {
			at := len(frames)
			frames = beginFrame(frames, FrameCancel, id)
			endFrame(frames[at:], 0)
		}
		_ = m.write(time.Now().Add(cancelTimeout), 0, frames, nil)
	}
}

// write writes frames; call is the id of the INVOKE they are, or 0. The turn is
// held. A frame that was cut off leaves the shim waiting for its rest, so nothing
// can be written any more; what is in flight may still be answered.
func (m *Mux) write(deadline time.Time, call uint64, frames, payload []byte) error {
	m.mu.Lock()
	err := m.mute
	m.last = call
	m.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	if err := m.conn.c.SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	n, err := m.conn.send(frames, payload)
	if err == nil {
		return nil
	}
	err = writeError(err)
	if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		m.silence(err)
	}
	return err
}

// silence notes why nothing more can be written; the first reason stays.
func (m *Mux) silence(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mute == nil {
		m.mute = err
	}
}

// giveUp ends the call of c with err, if it still runs, and tells the shim.
func (m *Mux) giveUp(c *Caller, err error) {
	m.mu.Lock()
	id := c.id
	if id == 0 || m.calls[id] != c {
		m.mu.Unlock()
		return
	}
	m.given[id] = struct{}{}
	m.cancels = append(m.cancels, id)
	m.finish(c, err)
	m.mu.Unlock()
	select {
	case m.turn <- struct{}{}:
		m.unlock()
	default: // Who writes now sends it.
	}
}

// finish ends the call of c, which gets err after what is queued for it. The lock
// is held.
func (m *Mux) finish(c *Caller, err error) {
	delete(m.calls, c.id)
	c.id, c.err = 0, err
	c.wake()
}

// read reads frames until the stream ends.
func (m *Mux) read() {
	defer close(m.done)
	m.mu.Lock()
	err := m.broken
	m.mu.Unlock()
	for err == nil {
		m.conn.begun = false
		var t FrameType
		var id uint64
		var n int
		if t, id, n, err = m.conn.header(); err == nil {
			err = m.take(t, id, n)
		}
		m.conn.chunk = nil
	}
	_ = m.conn.breaks(err)
	m.conn.release()
	m.end(err)
}

// end tells every call in flight that the stream has ended. A reset says that the
// last frame written was not read whole: if that is the INVOKE of a call, its
// handler has not run. Of the others nothing is known.
func (m *Mux) end(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	unread := errors.Is(err, ErrNotAccepted)
	if unread {
		m.broken = fmt.Errorf("%w: with what it had not read", ErrEnded)
	} else {
		m.broken = err
	}
	for id, c := range m.calls {
		told := m.broken
		if unread && id == m.last && !c.begun {
			told = err
		}
		m.finish(c, told)
	}
	clear(m.given)
}

// take reads the body of one frame and passes it on.
func (m *Mux) take(t FrameType, id uint64, n int) error {
	m.mu.Lock()
	c := m.calls[id]
	_, given := m.given[id]
	var kind cove.Kind
	if c != nil {
		kind = c.kind
		c.begun = true
	}
	m.mu.Unlock()
	if c == nil && !given {
		return protocolError("frame %#x with id %#x, which is of no call in flight", t, id)
	}
	// What was given up is read all the same: the stream stays in step.
	switch t {
	case FrameResult:
		a, err := m.conn.readResult(kind, n)
		return m.deliver(id, a, err, true)
	case FrameError:
		return m.deliverError(id, n)
	case FrameStream:
		return m.takeHead(id, kind, n)
	case FrameChunk:
		return m.takeChunk(id, n)
	case FrameEnd:
		if n > 0 {
			return m.deliverError(id, n)
		}
		return m.deliver(id, nil, errEnd, true)
	}
	return protocolError("frame %#x in answer to INVOKE", t)
}

func (m *Mux) deliverError(id uint64, n int) error {
	f, err := m.conn.functionError(n)
	if err != nil {
		return err
	}
	return m.deliver(id, nil, functionError(f), true)
}

func (m *Mux) takeHead(id uint64, kind cove.Kind, n int) error {
	if n > MaxHead {
		return protocolError("a STREAM of %d bytes", n)
	}
	b, err := m.conn.body(n)
	if err != nil {
		return err
	}
	a := &Answer{Stream: true}
	if kind == cove.KindHTTP {
		if a.Head, err = decodeHead(b); err != nil {
			m.mu.Lock()
			c := m.calls[id]
			m.mu.Unlock()
			if c != nil { // What follows the head has no reader.
				m.giveUp(c, err)
			}
			return nil
		}
	}
	return m.deliver(id, a, nil, false)
}

func (m *Mux) takeChunk(id uint64, n int) error {
	if n == 0 || n > MaxChunk {
		return protocolError("a CHUNK of %d bytes", n)
	}
	piece := make([]byte, n)
	if err := m.conn.readFull(piece); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[id]
	switch {
	case c == nil: // Given up.
		return nil
	case !c.streaming:
		return protocolError("a CHUNK before its STREAM")
	case n > c.credit:
		return protocolError("a CHUNK of %d bytes where %d were granted", n, c.credit)
	}
	c.credit -= n
	c.keep(piece)
	c.wake()
	return nil
}

// deliver passes an answer, the head of a stream, or the end of a call on. An
// error that is not the function's is the end of the stream.
func (m *Mux) deliver(id uint64, a *Answer, err error, last bool) error {
	var function *cove.Error
	if err != nil && !errors.As(err, &function) && err != errEnd {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.calls[id]
	switch {
	case c == nil:
		if last {
			delete(m.given, id)
		}
	case a != nil && c.streaming, err == errEnd && !c.streaming:
		return protocolError("frames of an answer out of their order")
	default:
		if a != nil {
			c.answer = a
		}
		if !last {
			c.streaming, c.credit = true, Window
			c.wake()
			break
		}
		m.finish(c, err)
	}
	return m.conn.broken
}
