package pool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/scale"
)

// group is the instances of one version and the requests that wait for one.
type group struct {
	pool    *Pool
	version *cove.Version

	mu sync.Mutex
	// idle is in the order in which they became idle: the last is lent first,
	// so that the others can go when the load falls.
	idle    []*instance
	busy    map[*instance]struct{}
	dying   int
	waiters []*waiter
	// pending are all starts under way, making those of them that are past
	// admission and so will end within their own bounds.
	pending, making int
	// retired is set when another version is active: nothing is kept then.
	retired bool
	dropped bool
	closed  bool
	// failure is why the version could not be loaded, which everybody is told;
	// setback is what the platform could not do, which only keeps the minimum
	// from being tried again at once.
	failure, setback failure
}

// waiter is a request that waits. What it is granted fits into the channel, so
// that nobody waits for it.
type waiter struct {
	granted chan grant
}

type grant struct {
	in    *instance
	err   *cove.Error
	fresh bool // the instance was started just now
}

func newGroup(p *Pool, v *cove.Version) *group {
	active := p.o.Active(v.Function)
	return &group{
		pool: p, version: v, busy: map[*instance]struct{}{},
		retired: active == nil || active.ID != v.ID,
	}
}

// acquire is Pool.Acquire; again is set when the group was dropped meanwhile.
func (g *group) acquire(ctx context.Context) (_ *Lease, _ *cove.Error, again bool) {
	g.mu.Lock()
	if g.dropped {
		g.mu.Unlock()
		return nil, nil, true
	}
	if in := g.takeIdle(); in != nil {
		g.mu.Unlock()
		return newLease(in, cove.StartWarm), nil, false
	}
	if err := g.refuse(time.Now()); err != nil {
		g.mu.Unlock()
		return nil, err, false
	}
	w := &waiter{granted: make(chan grant, 1)}
	g.waiters = append(g.waiters, w)
	g.scale(time.Now())
	g.mu.Unlock()
	lease, err := g.wait(ctx, w)
	return lease, err, false
}

// takeIdle makes the instance that was idle for the shortest time a busy one.
func (g *group) takeIdle() *instance {
	n := len(g.idle)
	if n == 0 {
		return nil
	}
	in := g.idle[n-1]
	g.idle[n-1] = nil
	g.idle = g.idle[:n-1]
	g.busy[in] = struct{}{}
	return in
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
	if limit := g.version.Config.Scaling.Queue; len(g.waiters) >= max(limit, g.pool.spare(g)) {
		return &cove.Error{
			Code: cove.CodeQueueFull, RetryAfter: time.Second,
			Message: "too many requests of this function are waiting for an instance; raise scaling.max or scaling.queue, or send fewer at once",
		}
	}
	return nil
}

// spare is how many requests may wait because an instance can still be started
// for each: a queue of length 0 must not make starting impossible.
func (p *Pool) spare(g *group) int {
	return g.version.Config.Scaling.Max - len(g.busy) - len(g.idle)
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
			if got, late := g.withdraw(w); late {
				if got.in != nil {
					newLease(got.in, cove.StartWarm).Release()
				}
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
			return nil, &cove.Error{
				Code: cove.CodeOverloaded, RetryAfter: time.Second,
				Message: "no instance of the function got free within " + g.version.Config.QueueTimeout.String() +
					" (queue_timeout); raise scaling.max, or the memory that sandboxes may reserve",
			}
		}
	}
}

func (got grant) lease() (*Lease, *cove.Error) {
	switch {
	case got.err != nil:
		return nil, got.err
	case got.fresh:
		return newLease(got.in, cove.StartCold), nil
	default:
		return newLease(got.in, cove.StartWarm), nil
	}
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
	return i >= 0 && i < g.making
}

// scale starts and ends instances as scale.Decide says. The lock is held.
func (g *group) scale(now time.Time) {
	if g.closed {
		return
	}
	if err := g.failure.last(now); err != nil && len(g.busy)+g.pending == 0 {
		g.tell(len(g.waiters), err) // Nothing else will come for them.
	}
	idle := make([]scale.Idle, len(g.idle))
	for i, in := range g.idle {
		idle[i].Since = in.idleSince
	}
	d := scale.Decide(g.policy(now), scale.Observation{
		Waiting: len(g.waiters), InFlight: len(g.busy), Busy: len(g.busy), Starting: g.pending, Idle: idle,
	}, nil, now)
	for _, in := range g.idle[:d.Stop] {
		g.doom(in, "idle")
	}
	g.idle = slices.Delete(g.idle, 0, d.Stop)
	for range d.Start {
		g.pending++
		g.pool.live.Go(g.start)
	}
}

// policy is what the version's configuration allows at the moment. The lock is
// held.
func (g *group) policy(now time.Time) scale.Policy {
	s := g.version.Config.Scaling
	p := scale.Policy{
		Min: s.Min, Max: s.Max, Idle: s.Idle.Std(), Pause: s.Pause.Std(),
		Adaptive: s.Policy != cove.PolicyFixed,
	}
	if g.retired {
		p.Min, p.Idle = 0, 0
	}
	if g.setback.last(now) != nil {
		p.Min = 0
	}
	if g.failure.last(now) != nil {
		p.Min, p.Max = 0, 0
	}
	return p
}

// wanted says whether one of the starts under way is still for somebody: those
// who waited may have left, or been served by others, while it waited itself. The
// lock is held.
func (g *group) wanted() bool {
	return len(g.waiters) > 0 || len(g.idle)+len(g.busy)+g.pending <= g.policy(time.Now()).Min
}

// tell gives the first n who wait an error. The lock is held.
func (g *group) tell(n int, err *cove.Error) {
	for _, w := range g.waiters[:n] {
		w.granted <- grant{err: err}
	}
	g.waiters = slices.Delete(g.waiters, 0, n)
}

// review is scale for the loop.
func (g *group) review(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scale(now)
	g.dropIfDone()
}

// offer gives an instance that is free to who waits longest, or keeps it.
// The lock is held, and in is among the busy ones.
func (g *group) offer(in *instance, fresh bool) {
	switch {
	case g.closed:
		delete(g.busy, in)
		g.doom(in, "shutdown")
	case len(g.waiters) > 0:
		w := g.waiters[0]
		g.waiters = slices.Delete(g.waiters, 0, 1)
		w.granted <- grant{in: in, fresh: fresh}
	case g.retired:
		delete(g.busy, in)
		g.doom(in, "retired")
	case g.pool.ledger.missing() > 0 && len(g.idle)+len(g.busy) > g.version.Config.Scaling.Min:
		delete(g.busy, in)
		g.doom(in, evicted)
	default:
		delete(g.busy, in)
		in.idleSince = time.Now()
		g.idle = append(g.idle, in)
	}
}

// release takes an instance back from a lease.
func (g *group) release(in *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.busy[in]; ok {
		g.offer(in, false)
	}
}

// fail ends an instance that must not serve again. Calling it twice is harmless.
func (g *group) fail(in *instance, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.busy, in)
	if i := slices.Index(g.idle, in); i >= 0 {
		g.idle = slices.Delete(g.idle, i, i+1)
	}
	g.doom(in, reason)
	g.scale(time.Now())
}

// doom makes the instance's keeper end it, once. The lock is held, and in is on
// neither list any more.
func (g *group) doom(in *instance, reason string) {
	if in.dying {
		return
	}
	in.dying = true
	g.dying++
	g.pool.ledger.promise(in.reserved)
	in.doom(reason)
}

// gone is told when a dying instance is no more.
func (g *group) gone(in *instance) {
	g.pool.ledger.release(in.reserved, !in.stuck)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dying--
	g.dropIfDone()
}

// retire keeps nothing of this version any longer than it is in use.
func (g *group) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired = true
	g.scale(time.Now())
	g.dropIfDone()
}

// activate undoes retire for a version that was made the active one again, and
// starts its minimum. It is false for a group that was dropped meanwhile.
func (g *group) activate() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dropped {
		return false
	}
	g.retired = false
	g.scale(time.Now())
	return true
}

// dropIfDone forgets the group when nothing of it is left. The lock is held.
func (g *group) dropIfDone() {
	if g.retired && !g.dropped && !g.closed && len(g.idle)+len(g.busy)+len(g.waiters)+g.pending+g.dying == 0 {
		g.dropped = true
		// The pool's lock comes before the group's, so not on this goroutine.
		g.pool.live.Go(func() { g.pool.drop(g) })
	}
}

// close ends everything at once, also what is in use.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.tell(len(g.waiters), errShuttingDown())
	for in := range g.busy {
		delete(g.busy, in)
		g.doom(in, "shutdown")
	}
	for _, in := range g.idle {
		g.doom(in, "shutdown")
	}
	g.idle = nil
}

// evictable is the instance that was idle longest and may be ended for the sake
// of others, with the time since when; nil if there is none.
func (g *group) evictable() (*instance, time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.idle) == 0 || (!g.retired && len(g.idle)+len(g.busy) <= g.version.Config.Scaling.Min) {
		return nil, time.Time{}
	}
	return g.idle[0], g.idle[0].idleSince
}

func (g *group) stats() GroupStats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GroupStats{
		Function: g.version.Function, Version: g.version.Number, Isolation: g.version.Config.Isolation,
		Starting: g.pending, Idle: len(g.idle), Busy: len(g.busy), Dying: g.dying, Waiting: len(g.waiters),
	}
}

// evicted is the reason to end an idle instance for the sake of another function.
const evicted = "evicted for want of memory"

// evict ends in if it is still idle.
func (g *group) evict(in *instance) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.idle, in); i >= 0 {
		g.idle = slices.Delete(g.idle, i, i+1)
		g.doom(in, evicted)
	}
}
