package gateway

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// watchDelay is for how long somebody must be interested in a caller's leaving
	// before the connection is watched: most requests have an answer by then.
	watchDelay = 10 * time.Millisecond
	// lookAfter is how long a request must have taken for a look at whether its
	// caller is still there to be worth a system call.
	lookAfter = 10 * time.Millisecond
)

// presence is the context of a request. It ends when its caller has left, as far
// as somebody wants to know: the connection is watched only while somebody waits
// for Done, and looked at once before an answer that took its time.
type presence struct {
	l     *loop
	began time.Time

	mu    sync.Mutex
	err   error
	done  chan struct{}
	timer *time.Timer
	// watched is closed when nobody watches any more; nil if nobody ever did.
	watched chan struct{}
}

var _ context.Context = (*presence)(nil)

// Deadline says that there is none.
func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value has none.
func (p *presence) Value(any) any { return nil }

// Err is context.Canceled once the caller is known to have left or the request
// is over.
func (p *presence) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Done is closed when Err is set.
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.err != nil {
			close(p.done)
		} else {
			p.timer = time.AfterFunc(watchDelay, p.watch)
		}
	}
	return p.done
}

// end sets Err. The lock is held.
func (p *presence) end() {
	if p.err != nil {
		return
	}
	p.err = context.Canceled
	if p.done != nil {
		close(p.done)
	}
}

// watch waits until the caller leaves, sends its next request, or over is called.
func (p *presence) watch() {
	p.mu.Lock()
	switch {
	case p.err != nil:
		p.mu.Unlock()
		return
	case p.l.body.left.Load() > 0: // Its reader has the connection.
		p.timer.Reset(watchDelay)
		p.mu.Unlock()
		return
	}
	p.watched = make(chan struct{})
	p.l.setReadDeadline(time.Time{})
	p.mu.Unlock()
	defer close(p.watched)
	gone := false
	err := p.l.raw.Read(func(fd uintptr) bool {
		var there bool
		gone, there = peek(fd)
		return gone || there
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if gone || err != nil {
		p.end()
	}
}

// look is watch for a moment.
func (p *presence) look() {
	if time.Since(p.began) < lookAfter || p.l.body.left.Load() > 0 {
		return
	}
	gone := false
	err := p.l.raw.Control(func(fd uintptr) { gone, _ = peek(fd) })
	if gone || err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.end()
	}
}

// over ends the context with its request. When it returns, nobody touches the
// connection.
func (p *presence) over() {
	p.mu.Lock()
	p.end()
	watched := p.watched
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	if watched != nil {
		p.l.setReadDeadline(time.Unix(1, 0))
		<-watched
	}
}

// peek says whether a connection has come to its end, and whether there is
// something to be read.
func peek(fd uintptr) (gone, there bool) {
	var b [1]byte
	n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return false, false
	case err != nil:
		return true, false
	}
	return n == 0, n > 0
}
