package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/covefn/cove"
)

// waiter is a request that waits. What it is granted fits into the channel, so
// that nobody waits for it.
type waiter struct {
	since   time.Time
	granted chan grant
}

// grant is an instance with what the request found, or an error.
type grant struct {
	in    *instance
	class cove.StartClass
	err   *cove.Error
}

// acquire is Pool.Acquire; again is set when the group was dropped meanwhile.
func (g *group) acquire(ctx context.Context) (_ *Lease, _ *cove.Error, again bool) {
	if ctx.Err() != nil {
		return nil, callerGone(ctx), false
	}
	now := time.Now()
	g.mu.Lock()
	g.arrive(now)
	for {
		if g.dropped {
			g.mu.Unlock()
			return nil, nil, true
		}
		in, freeze := g.take()
		if in == nil {
			break
		}
		g.mu.Unlock()
		if freeze == nil {
			return newLease(in, cove.StartWarm, now), nil, false
		}
		if err := in.thaw(freeze); err == nil {
			return newLease(in, cove.StartThawed, time.Now()), nil, false
		}
		g.giveUp(in, "it could not be thawed", false)
		g.fail(in, "it could not be thawed")
		if ctx.Err() != nil {
			return nil, callerGone(ctx), false
		}
		if time.Since(now) > g.version.Config.QueueTimeout.Std() {
			return nil, g.noneFree(), false
		}
		g.mu.Lock()
	}
	if err := g.refuse(now); err != nil {
		g.leave()
		g.mu.Unlock()
		return nil, err, false
	}
	w := &waiter{since: now, granted: make(chan grant, 1)}
	g.waiters = append(g.waiters, w)
	g.scale(now)
	g.mu.Unlock()
	lease, err := g.wait(ctx, w)
	return lease, err, false
}

// arrive notes that a request has come. The lock is held.
func (g *group) arrive(now time.Time) {
	g.arrivals.mu.Lock()
	g.arrivals.history.Arrive(now, g.inFlight+len(g.waiters)+1)
	g.arrivals.mu.Unlock()
}

// refuse says why a request must not even wait.
func (g *group) refuse(now time.Time) *cove.Error {
	if g.closed {
		return errShuttingDown()
	}
	if len(g.busy)+g.pending == 0 {
		if err := g.failure.last(now); err != nil {
			return err
		}
	}
	if err := g.hopeless(); err != nil {
		return err
	}
	if limit := g.version.Config.Scaling.Queue; len(g.waiters) >= max(limit, g.spare()) {
		return &cove.Error{
			Code: cove.CodeQueueFull, RetryAfter: time.Second,
			Message: "too many requests of this function are waiting for an instance; raise scaling.max or scaling.queue, or send fewer at once",
		}
	}
	return nil
}

// hopeless says that a request would wait longer than it may, as far as can be
// known: every instance there may be is there, and those who wait already need
// that long. The lock is held.
func (g *group) hopeless() *cove.Error {
	c := &g.version.Config
	live := len(g.busy) + len(g.idle)
	if live < c.Scaling.Max || g.runTook == 0 {
		return nil
	}
	wait := time.Duration(g.runTook) * time.Duration(len(g.waiters)+1) / time.Duration(live*g.concurrency)
	if wait <= c.QueueTimeout.Std() {
		return nil
	}
	return &cove.Error{
		Code: cove.CodeOverloaded, RetryAfter: max(time.Second, (wait - c.QueueTimeout.Std()).Round(time.Second)),
		Message: "the requests that wait already would take longer than " + c.QueueTimeout.String() + " (queue_timeout); raise scaling.max or send fewer at once",
	}
}

// spare is how many requests may wait because an instance can still be started
// for each: a queue of length 0 must not make starting impossible. The lock is
// held.
func (g *group) spare() int {
	return (g.version.Config.Scaling.Max - len(g.busy) - len(g.idle)) * g.concurrency
}

// wait waits for what w is granted. The queue timeout does not count while a
// start is under way for w: that has bounds of its own.
func (g *group) wait(ctx context.Context, w *waiter) (*Lease, *cove.Error) {
	timeout := g.version.Config.QueueTimeout.Std()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		select {
		case got := <-w.granted:
			return got.lease()
		case <-ctx.Done():
			if got, late := g.withdraw(w); late && got.in != nil {
				newLease(got.in, got.class, time.Now()).Release()
			}
			return nil, callerGone(ctx)
		case <-timer.C:
			if g.covered(w) {
				timer.Reset(min(timeout, 100*time.Millisecond))
				continue
			}
			if got, late := g.withdraw(w); late {
				return got.lease()
			}
			return nil, g.noneFree()
		}
	}
}

// noneFree is the end of a request that has waited as long as it may.
func (g *group) noneFree() *cove.Error {
	return &cove.Error{
		Code: cove.CodeOverloaded, RetryAfter: time.Second,
		Message: "no instance of the function got free within " + g.version.Config.QueueTimeout.String() +
			" (queue_timeout): each serves others, or could not be started in time; raise scaling.max or send fewer at once, `cove explain " + g.version.Function + "` says more",
	}
}

func (got grant) lease() (*Lease, *cove.Error) {
	if got.err != nil {
		return nil, got.err
	}
	return newLease(got.in, got.class, time.Now()), nil
}

// callerGone is why a request that waited was withdrawn.
func callerGone(ctx context.Context) *cove.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cove.Errorf(cove.CodeTimeout, "the caller's own time (Cove-Timeout) passed before an instance was free")
	}
	return &cove.Error{Code: cove.CodeRequestTimeout, Message: "the caller left before an instance was free", Err: ctx.Err()}
}

// withdraw takes w out of the queue; late says that it had been granted already.
func (g *group) withdraw(w *waiter) (got grant, late bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiters, w); i >= 0 {
		g.waiters = slices.Delete(g.waiters, i, i+1)
		g.leave()
		g.dropIfDone()
		return grant{}, false
	}
	return <-w.granted, true
}

// covered says that a start is under way for w.
func (g *group) covered(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiters, w)
	return i >= 0 && i < g.making*g.concurrency
}

// tell gives the first n who wait an error. The lock is held.
func (g *group) tell(n int, err *cove.Error) {
	for _, w := range g.waiters[:n] {
		w.granted <- grant{err: err}
	}
	g.waiters = slices.Delete(g.waiters, 0, n)
	if n > 0 {
		g.leave()
	}
}

// evicted is the reason to end an idle instance for the sake of another function.
const evicted = "evicted for want of memory"

// evictable is the instance that is cheapest to lose of those that may be ended
// for the sake of others: one that is to be replaced anyway, or the one that was
// idle longest. Nil if there is none.
func (g *group) evictable() (in *instance, startTook time.Duration, retired bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.idle) == 0 || g.pool.ledger.spared(g.version.Function) {
		return nil, 0, false
	}
	if i := slices.IndexFunc(g.idle, func(in *instance) bool { return in.outgoing }); i >= 0 {
		return g.idle[i], g.startEstimate(), g.retired
	}
	if len(g.idle)+len(g.busy) <= g.least() {
		return nil, 0, false
	}
	return g.idle[0], g.startEstimate(), g.retired
}

// evict ends in if it is still idle.
func (g *group) evict(in *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.idle, in); i >= 0 {
		g.idle = slices.Delete(g.idle, i, i+1)
		g.doom(in, evicted)
	}
}
