package pool

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/covefn/cove"
)

var (
	errTooBig = errors.New("more than all sandboxes together may have")
	errClosed = errors.New("the pool is closed")
)

// ledger shares out the host's memory. Requests are served in the order in which
// they came, so that a small one cannot starve a big one.
type ledger struct {
	budget cove.ByteSize
	// waiting says that the queue is not empty.
	waiting atomic.Bool

	mu     sync.Mutex
	used   cove.ByteSize
	queue  []*claim
	closed bool
	// promised is what instances that are already dying will give back.
	promised cove.ByteSize
}

type claim struct {
	size    cove.ByteSize
	granted chan error
}

func newLedger(budget cove.ByteSize) *ledger { return &ledger{budget: budget} }

// reserve waits until size is free. When it has to wait it calls evict, once,
// which is to see to it that nothing is missing any more.
func (l *ledger) reserve(ctx context.Context, size cove.ByteSize, evict func()) error {
	l.mu.Lock()
	switch {
	case size > l.budget:
		l.mu.Unlock()
		return errTooBig
	case l.closed:
		l.mu.Unlock()
		return errClosed
	case len(l.queue) == 0 && l.used+size <= l.budget:
		l.used += size
		l.mu.Unlock()
		return nil
	}
	c := &claim{size: size, granted: make(chan error, 1)}
	l.queue = append(l.queue, c)
	l.waiting.Store(true)
	l.mu.Unlock()
	evict()
	select {
	case err := <-c.granted:
		return err
	case <-ctx.Done():
		return l.withdraw(c, ctx.Err())
	}
}

// missing is what claims wait for beyond what dying instances will give back; it
// may be negative. It costs next to nothing while no claim waits.
func (l *ledger) missing() cove.ByteSize {
	if !l.waiting.Load() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return 0
	}
	missing := l.used - l.promised - l.budget
	for _, q := range l.queue {
		missing += q.size
	}
	return missing
}

// withdraw takes a claim back, unless it was granted meanwhile.
func (l *ledger) withdraw(c *claim, reason error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == c {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			l.grant() // The next may fit where this one did not.
			return reason
		}
	}
	return <-c.granted
}

// promise says that size will be given back soon.
func (l *ledger) promise(size cove.ByteSize) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.promised += size
}

// unpromise takes a promise back: those who wait have to get it elsewhere.
func (l *ledger) unpromise(size cove.ByteSize) { l.promise(-size) }

// release gives size back; promised says that it is promised still.
func (l *ledger) release(size cove.ByteSize, promised bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used -= size
	if promised {
		l.promised -= size
	}
	l.grant()
}

// grant serves the queue as far as the memory goes. The lock is held.
func (l *ledger) grant() {
	for len(l.queue) > 0 && l.used+l.queue[0].size <= l.budget {
		l.used += l.queue[0].size
		l.queue[0].granted <- nil
		l.queue = l.queue[1:]
	}
	l.waiting.Store(len(l.queue) > 0)
}

func (l *ledger) reserved() cove.ByteSize {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.used
}

// close refuses every claim that waits and all that come.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, c := range l.queue {
		c.granted <- errClosed
	}
	l.queue = nil
	l.waiting.Store(false)
}
