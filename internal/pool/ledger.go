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

	errStemsFull = errors.New("stem cells hold all that they may")
	errNoMemory  = errors.New("nothing is free that nobody else wants")
)

// stemAccount is under which the ledger has what stem cells hold.
const stemAccount = ""

// ledger shares out the host's memory between functions. Of those that wait, the
// one that holds least is served first (max-min fairness), and the claims of one
// function in the order in which they came. A claim that comes first and does not
// fit yet holds up the others, so that a small one cannot starve a big one.
//
// A function can have memory kept for it, which no other is given.
type ledger struct {
	budget cove.ByteSize
	// waiting says that the queue is not empty.
	waiting atomic.Bool

	mu   sync.Mutex
	used cove.ByteSize
	// held is what each function has, and kept what it has a right to.
	held, kept map[string]cove.ByteSize
	queue      []*claim
	closed     bool
	// promised is what instances that are already dying will give back.
	promised cove.ByteSize
}

type claim struct {
	function string
	size     cove.ByteSize
	granted  chan error
}

func newLedger(budget cove.ByteSize) *ledger {
	return &ledger{budget: budget, held: map[string]cove.ByteSize{}, kept: map[string]cove.ByteSize{}}
}

// reserve waits until size is free for function. When it has to wait it calls
// evict, once, which is to see to it that nothing is missing any more.
func (l *ledger) reserve(ctx context.Context, function string, size cove.ByteSize, evict func()) error {
	l.mu.Lock()
	switch {
	case size > l.budget-l.unmet(function, false):
		l.mu.Unlock()
		return errTooBig
	case l.closed:
		l.mu.Unlock()
		return errClosed
	case size <= 0, len(l.queue) == 0 && size <= l.free(function):
		l.take(function, max(size, 0))
		l.mu.Unlock()
		return nil
	}
	c := &claim{function: function, size: size, granted: make(chan error, 1)}
	l.queue = append(l.queue, c)
	l.grant() // It may come before those who wait.
	l.mu.Unlock()
	evict()
	select {
	case err := <-c.granted:
		return err
	case <-ctx.Done():
		return l.withdraw(c, ctx.Err())
	}
}

// reserveStem takes size for a stem cell if nobody else wants it and stem cells
// then hold no more than most. The error is errStemsFull or errNoMemory.
func (l *ledger) reserveStem(size, most cove.ByteSize) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.held[stemAccount]+size > most:
		return errStemsFull
	case l.closed, len(l.queue) > 0, size > l.free(stemAccount):
		return errNoMemory
	}
	l.take(stemAccount, size)
	return nil
}

// adopt makes what a stem cell holds the function's.
func (l *ledger) adopt(function string, size cove.ByteSize) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.give(stemAccount, size)
	l.take(function, size)
}

// keep says how much memory is kept for a function; 0 is none.
func (l *ledger) keep(function string, size cove.ByteSize) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size == 0 {
		delete(l.kept, function)
	} else {
		l.kept[function] = size
	}
	l.grant()
}

// take and give are the bookkeeping. The lock is held.
func (l *ledger) take(function string, size cove.ByteSize) {
	l.used += size
	l.held[function] += size
}

func (l *ledger) give(function string, size cove.ByteSize) {
	l.used -= size
	if l.held[function] -= size; l.held[function] == 0 {
		delete(l.held, function)
	}
}

// unmet is what is kept for functions other than this one, in all or beyond what
// they hold already. The lock is held.
func (l *ledger) unmet(function string, beyond bool) cove.ByteSize {
	var sum cove.ByteSize
	for f, kept := range l.kept {
		if f == function {
			continue
		}
		if beyond {
			kept = max(0, kept-l.held[f])
		}
		sum += kept
	}
	return sum
}

// free is what function could be given now. The lock is held.
func (l *ledger) free(function string) cove.ByteSize {
	return l.budget - l.used - l.unmet(function, true)
}

// missing is what claims wait for beyond what dying instances will give back; it
// may be negative. It costs next to nothing while no claim waits.
func (l *ledger) missing() cove.ByteSize {
	if !l.waiting.Load() {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missingLocked()
}

func (l *ledger) missingLocked() cove.ByteSize {
	if len(l.queue) == 0 {
		return 0
	}
	missing := l.used - l.promised - l.budget
	wanted := map[string]cove.ByteSize{}
	for _, q := range l.queue {
		missing += q.size
		wanted[q.function] += q.size
	}
	for f, kept := range l.kept {
		missing += max(0, kept-l.held[f]-wanted[f])
	}
	return missing
}

// yields says that function should give back size although it has use for it:
// another one waits that has, and would then have, less.
func (l *ledger) yields(function string, size cove.ByteSize) bool {
	if !l.waiting.Load() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.missingLocked() <= 0 || l.held[function]-size < l.kept[function] {
		return false
	}
	next := l.queue[l.next()]
	return next.function != function && l.held[next.function]+next.size <= l.held[function]-size
}

// spared says that what function gives back would only be kept for it.
func (l *ledger) spared(function string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[function] <= l.kept[function]
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
func (l *ledger) release(function string, size cove.ByteSize, promised bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.give(function, size)
	if promised {
		l.promised -= size
	}
	l.grant()
}

// next is the claim that is served next: of a function that has less than is kept
// for it, else of the one that holds least. The lock is held, and there is one.
func (l *ledger) next() int {
	best := 0
	for i, q := range l.queue {
		if l.before(q, l.queue[best]) {
			best = i
		}
	}
	return best
}

func (l *ledger) before(a, b *claim) bool {
	keptA, keptB := l.held[a.function] < l.kept[a.function], l.held[b.function] < l.kept[b.function]
	if keptA != keptB {
		return keptA
	}
	return l.held[a.function] < l.held[b.function]
}

// grant serves the queue as far as the memory goes. The lock is held.
func (l *ledger) grant() {
	for len(l.queue) > 0 {
		i := l.next()
		q := l.queue[i]
		if q.size > l.free(q.function) {
			break
		}
		l.take(q.function, q.size)
		q.granted <- nil
		l.queue = append(l.queue[:i], l.queue[i+1:]...)
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
