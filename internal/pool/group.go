package pool

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/scale"
)

// group is the instances of one version and the requests that wait for one.
type group struct {
	pool     *Pool
	version  *cove.Version
	arrivals *arrivals
	// concurrency is how many requests one instance serves at once.
	concurrency int

	// code is the package's directory. It is held for as long as the group is there:
	// who waits for an instance of a function that was deleted meanwhile needs it.
	code        string
	releaseCode func()

	mu sync.Mutex
	// idle is in the order in which they became idle: the last is lent first,
	// so that the others can be frozen, and go when the load falls.
	idle []*instance
	// busy are those that serve, inFlight their requests.
	busy     map[*instance]struct{}
	inFlight int
	dying    int
	waiters  []*waiter
	// pending are all starts under way, pendingStems those of stem cells, and making
	// those that are past admission and so will end within their own bounds.
	pending, pendingStems, making int
	// awaitMemory and awaitTurn are those that wait for the one or the other.
	awaitMemory, awaitTurn int
	// floors are how many instances somebody wants ready for the time being.
	floors []int
	// replacing holds a value while the instances are being replaced, and
	// endReplacing is not nil then.
	replacing    chan struct{}
	endReplacing context.CancelFunc
	// retired is set when another version is active: nothing is kept then.
	retired bool
	dropped bool
	closed  bool
	// failure is why the version could not be loaded, which everybody is told. The
	// other two only keep what nobody waits for from being tried again at once:
	// setback is what the platform could not do, and relapse that instances end
	// before they have served anybody.
	failure, setback, relapse failure
	// made, loaded and runTook are recent averages: of making a sandbox, where that was
	// done for a request, of loading the version, and of calls.
	made, loaded, runTook average
	// parts is into how many the weight of each instance is divided, busiest how
	// many were busy at once since the last review.
	parts, busiest int
	weighing       bool
	// again is when to decide anew; changed is closed when instances come or
	// cannot come, if anybody waits for that.
	again   *time.Timer
	changed chan struct{}
}

// arrivals is what is remembered of one function's requests, through all its
// versions.
type arrivals struct {
	mu      sync.Mutex
	history scale.History
}

// average is an exponentially weighted one.
type average time.Duration

// averageWeight is that of the newest value: after five of a kind, two thirds of
// the average are theirs.
const averageWeight = 5

func (a *average) add(d time.Duration) {
	if *a == 0 {
		*a = average(d)
		return
	}
	*a += (average(d) - *a) / averageWeight
}

func newGroup(p *Pool, v *cove.Version, arrivals *arrivals) *group {
	active := p.o.Active(v.Function)
	return &group{
		pool: p, version: v, arrivals: arrivals, concurrency: max(1, v.Config.Scaling.Concurrency),
		busy: map[*instance]struct{}{}, replacing: make(chan struct{}, 1), parts: 1, retired: active == nil || active.ID != v.ID,
	}
}

// observe is what there is now. The lock is held.
func (g *group) observe(now time.Time) scale.Observation {
	o := scale.Observation{
		Waiting: len(g.waiters), InFlight: g.inFlight, Busy: len(g.busy), Starting: g.pending, StartingStems: g.pendingStems,
		AwaitMemory: g.awaitMemory, AwaitTurn: g.awaitTurn,
		Idle: make([]scale.Idle, len(g.idle)), StartTook: g.startEstimate(), StemTook: time.Duration(g.loaded), RunTook: time.Duration(g.runTook),
	}
	for i, in := range g.idle {
		o.Idle[i] = scale.Idle{Since: in.since, Paused: in.freeze != nil, Warmed: in.warmed}
	}
	if g.concurrency > 1 {
		for in := range g.busy {
			o.Room += g.room(in)
		}
	}
	if len(g.waiters) > 0 {
		o.OldestWait = now.Sub(g.waiters[0].since)
	}
	if key, ok := g.stemKey(); ok {
		o.Stems = g.pool.stems.ready(key, g.hasAny())
	}
	return o
}

// hasAny says that there is an instance, or that one is being started. The lock is
// held.
func (g *group) hasAny() bool { return len(g.busy)+len(g.idle)+g.pending > 0 }

// startEstimate is what a cold start takes: making a sandbox and loading the
// version, each as it was lately for this version or else for any of the isolation.
// It is that also where there are stem cells. These save making a sandbox, but
// nobody knows whether there will be one when it is needed. The lock is held.
func (g *group) startEstimate() time.Duration {
	made, loaded := g.pool.facts.took(g.version.Config.Isolation)
	if g.made > 0 {
		made = time.Duration(g.made)
	}
	if g.loaded > 0 {
		loaded = time.Duration(g.loaded)
	}
	return made + loaded
}

// decide is scale.Decide for what there is now. The lock is held.
func (g *group) decide(o scale.Observation, now time.Time) scale.Decision {
	g.arrivals.mu.Lock()
	defer g.arrivals.mu.Unlock()
	return scale.Decide(g.policy(now), o, &g.arrivals.history, now)
}

// scale starts, freezes and ends instances as scale.Decide says. The lock is
// held.
func (g *group) scale(now time.Time) {
	if g.closed {
		return
	}
	if err := g.failure.last(now); err != nil && len(g.busy)+g.pending == 0 {
		g.tell(len(g.waiters), err) // Nothing else will come for them.
	}
	d := g.decide(g.observe(now), now)
	for _, in := range g.idle[:d.Stop] {
		g.doom(in, "idle")
	}
	g.idle = slices.Delete(g.idle, 0, d.Stop)
	for _, in := range g.idle {
		if d.Pause > 0 && in.freeze == nil {
			d.Pause--
			g.pause(in)
		}
	}
	for range d.Start {
		g.begin()
	}
	g.wakeAt(d.Next, now)
}

// wakeAt has the group decide anew at a time, if that is sooner than the
// periodic review. The lock is held.
func (g *group) wakeAt(next, now time.Time) {
	if g.again != nil {
		g.again.Stop()
		g.again = nil
	}
	if in := next.Sub(now); !next.IsZero() && in < reviewInterval {
		g.again = time.AfterFunc(max(in, time.Millisecond), func() { g.review(time.Now()) })
	}
}

// policy is what the version's configuration allows at the moment. The lock is
// held.
func (g *group) policy(now time.Time) scale.Policy {
	s := g.version.Config.Scaling
	p := scale.Policy{
		Min: s.Min, Max: s.Max, Concurrency: g.concurrency, Idle: s.Idle.Std(), Pause: s.Pause.Std(),
		Adaptive: s.Policy != cove.PolicyFixed,
	}
	if !g.pool.facts.can(g.version.Config.Isolation, driver.FeaturePause) {
		p.Pause = -1
	}
	if g.retired {
		p.Min, p.Idle, p.Adaptive = 0, 0, false
	}
	p.Min = min(max(p.Min, g.floor()), p.Max)
	if g.held(now) != nil {
		p.Min, p.Reactive = 0, true
	}
	if g.failure.last(now) != nil {
		p.Min, p.Max = 0, 0
	}
	outgoing := g.outgoing()
	p.Min, p.Max = p.Min+outgoing, p.Max+outgoing
	return p
}

// held is why nothing is started at the moment that nobody waits for. The lock is
// held.
func (g *group) held(now time.Time) *cove.Error {
	if err := g.setback.last(now); err != nil {
		return err
	}
	return g.relapse.last(now)
}

// floor is how many instances somebody wants ready. The lock is held.
func (g *group) floor() int {
	if len(g.floors) == 0 {
		return 0
	}
	return slices.Max(g.floors)
}

// least is how many instances are kept although nobody uses them. The lock is
// held.
func (g *group) least() int {
	if g.retired {
		return g.floor()
	}
	return max(g.floor(), g.version.Config.Scaling.Min)
}

// wanted says whether one of the starts under way is still for somebody: those
// who waited may have left, or been served by others, while it waited itself. The
// lock is held.
func (g *group) wanted(now time.Time) bool {
	o := g.observe(now)
	o.Starting--
	d := g.decide(o, now)
	return d.Start > 0 || o.Busy+o.Starting+len(o.Idle) < d.Keep
}

// review is scale for the loop.
func (g *group) review(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scale(now)
	g.dropIfDone()
}

// offer gives an instance that has room to those who wait longest, keeps it, or
// ends it. The lock is held, and in is among the busy ones.
func (g *group) offer(in *instance, class cove.StartClass) {
	if !g.keeps(in) {
		return
	}
	for len(g.waiters) > 0 && in.active < g.concurrency {
		w := g.waiters[0]
		g.waiters = slices.Delete(g.waiters, 0, 1)
		g.lend(in)
		w.granted <- grant{in: in, class: class}
		class = cove.StartWarm
	}
	if in.active > 0 {
		return
	}
	delete(g.busy, in)
	live := len(g.idle) + len(g.busy)
	switch {
	case g.retired && live >= g.least():
		g.doom(in, "retired")
	case g.pool.ledger.missing() > 0 && live >= g.least() && !g.pool.ledger.spared(g.version.Function):
		g.doom(in, evicted)
	default:
		in.since, in.warmed = time.Now(), len(g.floors) > 0
		g.idle = append(g.idle, in)
	}
}

// keeps says whether a busy instance may serve again, and ends it otherwise, as
// soon as it serves nobody. The lock is held.
func (g *group) keeps(in *instance) bool {
	reason := ""
	switch {
	case g.closed:
		reason = "shutdown"
	case in.draining:
		reason = in.drainReason
	case in.active == 0 && len(g.waiters) > 0 && g.pool.ledger.yields(g.version.Function, in.reserved):
		reason = evicted
	default:
		return true
	}
	if in.active == 0 {
		delete(g.busy, in)
		g.doom(in, reason)
		g.scale(time.Now())
	}
	return false
}

// release takes an instance back from a lease that held it for took; called says
// that it was for a call.
func (g *group) release(in *instance, took time.Duration, called bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in.active--
	g.inFlight--
	if called {
		g.runTook.add(took)
	}
	g.leave()
	if !in.dying {
		g.offer(in, cove.StartWarm)
	}
}

// leave notes that requests have ended or do not wait any more. The lock is held.
func (g *group) leave() {
	g.arrivals.mu.Lock()
	g.arrivals.history.Leave(time.Now(), g.inFlight+len(g.waiters))
	g.arrivals.mu.Unlock()
}

// giveUp takes an instance back from a lease whose call was given up: it serves
// nobody from now on. shared says that others are still served; the last of them
// ends it. Otherwise the caller does.
func (g *group) giveUp(in *instance, reason string, patient bool) (shared bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	in.active--
	g.inFlight--
	g.leave()
	if !in.draining {
		in.draining, in.drainReason = true, reason
	}
	return patient && in.active > 0
}

// died sees to an instance whose process has ended. One that waited, and ended soon
// and before it had served anybody, would do so again: after that it takes longer
// and longer until one is made that nobody waits for.
func (g *group) died(in *instance, reason string) {
	g.mu.Lock()
	now := time.Now()
	if slices.Contains(g.idle, in) && !in.served && now.Sub(in.since) < maxBackoff && g.relapse.last(now) == nil {
		g.relapse.set(cove.Errorf(cove.CodeInitError, "the process ended by itself before it had served a request"), now)
	}
	g.mu.Unlock()
	g.fail(in, reason)
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
	g.pool.ledger.release(g.version.Function, in.reserved, !in.stuck)
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
	if g.endReplacing != nil {
		g.endReplacing()
	}
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
	if g.retired && !g.dropped && !g.closed && len(g.floors)+len(g.idle)+len(g.busy)+len(g.waiters)+g.pending+g.dying == 0 {
		g.dropped = true
		g.wakeAt(time.Time{}, time.Time{})
		// The pool's lock comes before the group's, so not on this goroutine.
		g.pool.live.Go(func() { g.pool.drop(g) })
	}
}

// close ends everything at once, also what is in use.
func (g *group) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.wakeAt(time.Time{}, time.Time{})
	g.tell(len(g.waiters), errShuttingDown())
	for in := range g.busy {
		delete(g.busy, in)
		g.doom(in, "shutdown")
	}
	for _, in := range g.idle {
		g.doom(in, "shutdown")
	}
	g.idle = nil
	g.tellChange()
}
