package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/covefn/cove"
)

// errEnd is how a call ends whose answer is whole.
var errEnd = io.EOF

// Caller makes calls of a Mux, one at a time. Its methods are those of Conn, with
// the same errors, and must be called by one goroutine at a time, but Abandon,
// which may be called by anybody.
type Caller struct {
	m *Mux
	// more says that something has changed for who waits; it has room for one.
	more chan struct{}
	// deadline is that of the latest call, and granted what of its streamed answer
	// was read and not yet granted anew. Only the caller's goroutine touches them.
	deadline time.Time
	read     int

	// What follows is guarded by the lock of the Mux.

	// id is that of the call in flight, 0 if there is none.
	id     uint64
	kind   cove.Kind
	begun  bool
	answer *Answer
	// streaming is set from the head of a streamed answer until its end was read;
	// queue are the pieces that nobody has read yet, and credit is how many more
	// bytes the shim may send.
	streaming bool
	queue     [][]byte
	credit    int
	// err is how the call ended, once id is 0.
	err error
}

// joined is up to what size pieces that nobody has read yet become one. A piece
// takes memory beside its bytes, which alone are what credit counts.
const joined = 16 << 10

// keep queues a piece of the answer. The lock of the Mux is held.
func (c *Caller) keep(piece []byte) {
	if last := len(c.queue) - 1; last >= 0 && len(c.queue[last])+len(piece) <= joined {
		c.queue[last] = append(c.queue[last], piece...)
		return
	}
	c.queue = append(c.queue, piece)
}

// wake tells the caller's goroutine to look again.
func (c *Caller) wake() {
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// Usable says whether the instance can be given another call, by this Caller or
// by another one.
func (c *Caller) Usable() bool {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	return c.m.usable() == nil && c.id == 0
}

// Abandon gives the call in flight up, if there is one: the shim is sent a CANCEL
// and whoever waits for the answer gets os.ErrDeadlineExceeded. A Caller whose
// streamed answer will not be read to its end must be abandoned.
func (c *Caller) Abandon() { c.m.giveUp(c, os.ErrDeadlineExceeded) }

// Invoke is Conn.Invoke among others. When it returns os.ErrDeadlineExceeded the
// handler may still run. ErrNotAccepted means that it has not been called.
func (c *Caller) Invoke(deadline time.Time, inv *Invoke) (*Answer, error) {
	if len(inv.Payload) > MaxPayload {
		return nil, cove.Errorf(cove.CodeTooLarge, "the payload has %d bytes; at most %d can be passed to a function", len(inv.Payload), MaxPayload)
	}
	c.deadline, c.read = deadline, 0
	expired, stop := timer(deadline)
	defer stop()
	begin := time.Now()
	if err := c.send(expired, begin, inv); err != nil {
		return nil, err
	}
	a, err := c.await(expired)
	if err != nil {
		return nil, err
	}
	if a.Stream && inv.Kind != cove.KindHTTP {
		if a, err = c.join(); err != nil {
			return nil, err
		}
	}
	a.Took = time.Since(begin)
	return a, nil
}

// timer is a channel that tells when deadline has passed; nil for none.
func timer(deadline time.Time) (expired <-chan time.Time, stop func()) {
	if deadline.IsZero() {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(deadline))
	return t.C, func() { t.Stop() }
}

// send writes the INVOKE and notes that its call is in flight.
func (c *Caller) send(expired <-chan time.Time, begin time.Time, inv *Invoke) error {
	m := c.m
	if err := m.lock(expired); err != nil {
		return err
	}
	defer m.unlock()
	id := m.conn.ids.Uint64() | 1 // The turn to write guards the source too.
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	b, err := appendInvoke(buf[:0], id, c.deadline, begin, inv)
	if err != nil {
		return err
	}
	m.mu.Lock()
	if err := m.usable(); err != nil {
		m.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNotAccepted, err)
	}
	if c.id != 0 {
		m.mu.Unlock()
		return errors.New("runtime: a call while another one of the same caller runs")
	}
	c.id, c.kind, c.begun, c.answer, c.err = id, inv.Kind, false, nil, nil
	c.streaming, c.queue, c.credit = false, nil, 0
	select {
	case <-c.more: // Of the call before.
	default:
	}
	m.calls[id] = c
	m.mu.Unlock()
	if err := m.write(c.deadline, id, b, inv.Payload); err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		if c.id == id {
			m.finish(c, err)
		}
		return err
	}
	return nil
}

// await waits for the answer or its head.
func (c *Caller) await(expired <-chan time.Time) (*Answer, error) {
	for {
		c.m.mu.Lock()
		a, id, err := c.answer, c.id, c.err
		c.answer = nil
		c.m.mu.Unlock()
		switch {
		case a != nil && (err == nil || a.Stream):
			// A stream may have ended already: Next says how.
			return a, nil
		case id == 0:
			return nil, err
		}
		select {
		case <-c.more:
		case <-expired:
			c.Abandon()
			expired = nil // The call has ended now, one way or the other.
		}
	}
}

// join reads a streamed answer whole.
func (c *Caller) join() (*Answer, error) {
	var whole []byte
	for {
		piece, err := c.Next()
		switch {
		case errors.Is(err, io.EOF):
			return &Answer{Payload: whole}, nil
		case err != nil:
			return nil, err
		case len(whole)+len(piece) > c.m.conn.maxAnswer:
			c.Abandon()
			return nil, cove.Errorf(cove.CodeResponseTooLarge, "the answer has more than %d bytes", c.m.conn.maxAnswer)
		}
		whole = append(whole, piece...)
	}
}

// Next is Conn.Next among others. The piece belongs to the caller.
func (c *Caller) Next() ([]byte, error) {
	if c.read >= Window/2 {
		if err := c.grant(); err != nil {
			return nil, err
		}
	}
	piece, err, ok := c.next()
	if ok {
		return piece, err
	}
	expired, stop := timer(c.deadline)
	defer stop()
	for {
		if piece, err, ok := c.next(); ok {
			return piece, err
		}
		select {
		case <-c.more:
		case <-expired:
			c.Abandon()
			expired = nil
		}
	}
}

// next is what is there to be read now. A call that was given up has nothing.
func (c *Caller) next() (piece []byte, err error, ok bool) {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	switch {
	case !c.streaming:
		return nil, io.EOF, true
	case len(c.queue) > 0 && !errors.Is(c.err, os.ErrDeadlineExceeded):
		piece, c.queue = c.queue[0], c.queue[1:]
		c.read += len(piece)
		return piece, nil, true
	case c.id == 0:
		c.streaming, c.queue = false, nil
		return nil, c.err, true
	}
	return nil, nil, false
}

// grant lets the shim send as much as was read since it was let the last time.
func (c *Caller) grant() error {
	m, n := c.m, c.read
	c.read = 0
	expired, stop := timer(c.deadline)
	defer stop()
	if err := m.lock(expired); err != nil {
		return c.unwritten(err)
	}
	defer m.unlock()
	m.mu.Lock()
	id := c.id
	c.credit += n
	m.mu.Unlock()
	if id == 0 {
		return nil // All of it has come.
	}
	frame := binary.BigEndian.AppendUint32(beginFrame(make([]byte, 0, headerSize+4), FrameCredit, id), uint32(n))
	endFrame(frame, 0)
	return c.unwritten(m.write(c.deadline, 0, frame, nil))
}

// unwritten is what a CREDIT that could not be written means: the call is over at
// its deadline; if the stream has ended, what came before may still be read.
func (c *Caller) unwritten(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.Abandon()
		return err
	}
	return nil
}
