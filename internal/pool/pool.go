// Package pool keeps the instances of every version: it starts them when
// requests wait, lends them out one request at a time, keeps them warm for a
// while, and sees to it that each of them ends and gives back what it held.
//
// An instance lives like this:
//
//	starting -> idle <-> busy -> dying -> gone
//	             |  ^
//	             v  | (in the request that thaws it)
//	            paused
//
// It starts from nothing or of a stem cell: a sandbox with the language started
// and without a function, of which some are kept ready (see stems).
//
// It is dying from the moment somebody found a reason to end it (idle too long,
// a timeout, its process ended) and gone when its sandbox has been seen dead and
// everything of it is removed. Only then is its memory given back.
//
// Each version has a group with a lock of its own; nothing on the path of a warm
// request is shared between functions.
package pool

import (
	"context"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
	"github.com/covefn/cove/internal/scale"
)

// Options are what a Pool is built from; every field but Log is needed.
type Options struct {
	// Owner names this installation; see driver.Spec.
	Owner string
	// Drivers are those of every isolation, by name.
	Drivers map[string]driver.Driver
	// Overhead is what a sandbox of an isolation costs beside its function.
	Overhead func(isolation string) cove.ByteSize
	// Runtime finds a runtime by the name that a version has.
	Runtime func(name string) (rt.Runtime, bool)
	// Shims is the host's directory in which runtime.Catalogue.WriteShims wrote.
	Shims string
	// Image is the root file system of a runtime; an error says what to do.
	Image func(ctx context.Context, name string) (driver.Image, error)
	// Code holds a package's unpacked directory until release is called.
	Code func(sha256 string) (dir string, release func())
	// Active is the version of a function that requests are given now.
	Active func(function string) *cove.Version
	// Logs takes what the instances print.
	Logs *logs.Book
	// Memory is what all sandboxes together may reserve, and StemMemory what stem
	// cells may of it.
	Memory, StemMemory cove.ByteSize
	// StemStretch is up to what stem cells may reserve where StemMemory is too little
	// for one of each kind in use. With 0 it is not exceeded.
	StemStretch cove.ByteSize
	// Stems is how many stem cells of a kind are kept at most; 0 is none.
	Stems int
	// StartTimeout bounds the making of a sandbox.
	StartTimeout time.Duration
	// MaxAnswer is the largest answer of a handler, in bytes.
	MaxAnswer int64
	Log       *slog.Logger
}

// Pool is the instances of all versions. It is safe for concurrent use.
type Pool struct {
	o      Options
	ledger *ledger
	stems  *stems
	facts  facts
	// turns bound how many sandboxes are made at once: more would only make
	// each of them slower.
	turns *turns
	// sandboxes is how many there are, in whatever state; stuck are those of them
	// that do not end.
	sandboxes, stuck atomic.Int64
	// evicting is held while idle instances are chosen to be ended.
	evicting sync.Mutex
	// recovery is that of every isolation.
	recovery map[string]*recovery
	// ending ends with Close, and with it what is being started.
	ending context.Context
	end    context.CancelFunc

	mu     sync.RWMutex
	groups map[string]*group // by Version.ID
	// arrivals are remembered by function.
	arrivals map[string]*arrivals
	closed   bool

	// live counts the goroutines that start or keep an instance.
	live sync.WaitGroup
}

// New returns a pool without instances.
func New(o Options) *Pool {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		o: o, ledger: newLedger(o.Memory), groups: map[string]*group{}, arrivals: map[string]*arrivals{},
		turns: newTurns(startsAtOnce(), moreAtOnce()), recovery: map[string]*recovery{},
	}
	p.stems = newStems(p, o.Stems)
	p.ending, p.end = context.WithCancel(context.Background())
	for name := range o.Drivers {
		p.recovery[name] = newRecovery()
	}
	return p
}

// startsAtOnce is how many sandboxes are made at once for requests.
func startsAtOnce() int { return max(4, 2*goruntime.NumCPU()) }

// moreAtOnce is how many of them are made for functions that have an instance
// already: a processor is left for what runs.
func moreAtOnce() int { return max(1, goruntime.NumCPU()-1) }

// Acquire lends an instance of v for one request: an idle one, or one that is
// started, or the first that gets free. It waits no longer than v's queue
// timeout, not counting the time in which an instance is being started for the
// request, and not longer than ctx. The lease must be released.
func (p *Pool) Acquire(ctx context.Context, v *cove.Version) (*Lease, *cove.Error) {
	for {
		g, err := p.group(v)
		if err != nil {
			return nil, err
		}
		lease, err, again := g.acquire(ctx)
		if !again {
			return lease, err
		}
		p.drop(g)
	}
}

// Switch follows a change of a function's active version: instances of old are
// ended as soon as they are not in use, those that the new one wants kept are
// started. Either may be nil.
func (p *Pool) Switch(old, active *cove.Version) {
	p.stems.expect(active, 1)
	p.stems.expect(old, -1)
	p.keepReserved(old, active)
	if old != nil {
		p.mu.RLock()
		g := p.groups[old.ID]
		p.mu.RUnlock()
		if g != nil {
			g.retire()
		}
	}
	if active == nil || active.Package.SHA256 == "" {
		return
	}
	for {
		// After a rollback there may still be instances from before.
		p.mu.RLock()
		g := p.groups[active.ID]
		p.mu.RUnlock()
		if g == nil {
			if active.Config.Scaling.Min == 0 {
				return
			}
			var err *cove.Error
			if g, err = p.group(active); err != nil {
				return
			}
		}
		if g.activate() {
			return
		}
		p.drop(g)
	}
}

// keepReserved keeps the memory of as many instances as the active version wants
// reserved, and forgets a function that is deleted.
func (p *Pool) keepReserved(old, active *cove.Version) {
	if active != nil {
		size := active.Config.Memory + p.o.Overhead(active.Config.Isolation)
		p.ledger.keep(active.Function, cove.ByteSize(active.Config.Scaling.Reserved)*size)
		return
	}
	p.ledger.keep(old.Function, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.arrivals, old.Function)
}

// group is that of v, made when there is none.
func (p *Pool) group(v *cove.Version) (*group, *cove.Error) {
	p.mu.RLock()
	g, closed := p.groups[v.ID], p.closed
	p.mu.RUnlock()
	if closed {
		return nil, errShuttingDown()
	}
	if g != nil {
		return g, nil
	}
	dir, release := p.o.Code(v.Package.SHA256)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		release()
		return nil, errShuttingDown()
	}
	if g = p.groups[v.ID]; g != nil {
		release()
		return g, nil
	}
	if p.arrivals[v.Function] == nil {
		p.arrivals[v.Function] = &arrivals{}
	}
	g = newGroup(p, v, p.arrivals[v.Function])
	g.code, g.releaseCode = dir, release
	p.groups[v.ID] = g
	return g, nil
}

// drop forgets a group that is retired and empty.
func (p *Pool) drop(g *group) {
	g.releaseCode()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups[g.version.ID] == g {
		delete(p.groups, g.version.ID)
	}
	if p.o.Active(g.version.Function) == nil {
		delete(p.arrivals, g.version.Function) // It never came to be.
	}
}

func (p *Pool) allGroups() []*group {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*group, 0, len(p.groups))
	for _, g := range p.groups {
		all = append(all, g)
	}
	return all
}

// reviewInterval is how often idle instances are looked at.
const reviewInterval = time.Second

// Run freezes and ends instances that are idle, keeps the wanted minimum up and
// stem cells ready, until ctx ends.
func (p *Pool) Run(ctx context.Context) {
	var stems sync.WaitGroup
	if p.o.Stems > 0 {
		stems.Go(func() { p.stems.run(ctx) })
	}
	defer stems.Wait()
	tick := time.NewTicker(reviewInterval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.runOnce(now)
		case <-ctx.Done():
			return
		}
	}
}

func (p *Pool) runOnce(now time.Time) {
	p.evict()
	for _, g := range p.allGroups() {
		g.reweigh()
		g.review(now)
	}
}

// evict ends stem cells and then idle instances of any function until what is
// missing will be given back or there are none: those that nobody will ask for
// again first, and then the one whose loss costs least, which is the time to
// start it again by how likely it is to be wanted soon. One at a time: two would
// end twice as many as are needed.
func (p *Pool) evict() {
	p.evicting.Lock()
	defer p.evicting.Unlock()
	p.stems.evict()
	for now := time.Now(); p.ledger.missing() > 0; {
		var cheapest *instance
		var least float64
		for _, g := range p.allGroups() {
			in, startTook, retired := g.evictable()
			if in == nil {
				continue
			}
			worth := 0.0
			if !retired {
				worth = scale.Worth(now.Sub(in.since), startTook, in.reserved)
			}
			if cheapest == nil || worth < least {
				cheapest, least = in, worth
			}
		}
		if cheapest == nil {
			return
		}
		cheapest.group.evict(cheapest)
	}
}

// closeStall is how long Close waits for the next sandbox to end.
const closeStall = 10 * time.Second

// Close ends every instance, also those that are being started, and waits until
// all are gone. It gives up when none has ended for 10 seconds, or when ctx ends;
// then the error says how many are left. Requests that wait get CodeShuttingDown.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.ledger.close()
	p.end()
	p.stems.close()
	for _, g := range p.allGroups() {
		g.close()
	}
	done := make(chan struct{})
	go func() { p.live.Wait(); close(done) }()
	if left := p.awaitEnd(ctx, done); left > 0 {
		return fmt.Errorf("sandboxes that could not be ended in time: %d; the next start of Cove removes what is left of them", left)
	}
	for _, g := range p.allGroups() {
		g.releaseCode()
	}
	return nil
}

// awaitEnd waits for done as long as sandboxes end, and says how many did not.
func (p *Pool) awaitEnd(ctx context.Context, done <-chan struct{}) (left int64) {
	least, stall := p.sandboxes.Load(), time.Now().Add(closeStall)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return 0
		case <-ctx.Done():
			return max(p.sandboxes.Load(), 1)
		case now := <-tick.C:
			if left := p.sandboxes.Load(); left < least {
				least, stall = left, now.Add(closeStall)
				p.o.Log.Info("ending sandboxes", "left", left)
			}
			if !now.Before(stall) {
				return max(least, 1)
			}
		}
	}
}

// enter has Close wait until leave is called; it is not open after Close.
func (p *Pool) enter() (leave func(), open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false
	}
	p.live.Add(1)
	return p.live.Done, true
}

// Closed says that Close was called: what ends from then on was ended by it.
func (p *Pool) Closed() bool { return p.ending.Err() != nil }

func errShuttingDown() *cove.Error {
	return cove.Errorf(cove.CodeShuttingDown, "Cove is shutting down; try again in a moment")
}
