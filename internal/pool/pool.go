// Package pool keeps the instances of every version: it starts them when
// requests wait, lends them out one request at a time, keeps them warm for a
// while, and sees to it that each of them ends and gives back what it held.
//
// An instance lives like this:
//
//	starting -> idle <-> busy -> dying -> gone
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
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
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
	// ShimDir is the host's directory with the shim of a runtime.
	ShimDir func(r rt.Runtime) string
	// Image is the root file system of a runtime; an error says what to do.
	Image func(ctx context.Context, name string) (driver.Image, error)
	// Code holds a package's unpacked directory until release is called.
	Code func(sha256 string) (dir string, release func(), err error)
	// Active is the version of a function that requests are given now.
	Active func(function string) *cove.Version
	// Logs takes what the instances print.
	Logs *logs.Book
	// Memory is what all sandboxes together may reserve.
	Memory cove.ByteSize
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
	// slots bound how many sandboxes are made at once: more would only make
	// each of them slower.
	slots chan struct{}
	stuck atomic.Int64
	// evicting is held while idle instances are chosen to be ended.
	evicting sync.Mutex
	// recovery is that of every isolation.
	recovery map[string]*recovery
	// ending ends with Close, and with it what is being started.
	ending context.Context
	end    context.CancelFunc

	mu     sync.RWMutex
	groups map[string]*group // by Version.ID
	closed bool

	// live counts the goroutines that start or keep an instance.
	live sync.WaitGroup
}

// New returns a pool without instances.
func New(o Options) *Pool {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		o: o, ledger: newLedger(o.Memory), groups: map[string]*group{},
		slots: make(chan struct{}, max(4, 2*runtime.NumCPU())), recovery: map[string]*recovery{},
	}
	p.ending, p.end = context.WithCancel(context.Background())
	for name := range o.Drivers {
		p.recovery[name] = newRecovery()
	}
	return p
}

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

// Warm makes sure that an instance of v can serve, and says why not otherwise.
func (p *Pool) Warm(ctx context.Context, v *cove.Version) *cove.Error {
	lease, err := p.Acquire(ctx, v)
	if err != nil {
		return err
	}
	lease.Release()
	return nil
}

// Switch follows a change of a function's active version: instances of old are
// ended as soon as they are not in use, those that the new one wants kept are
// started. Either may be nil.
func (p *Pool) Switch(old, active *cove.Version) {
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
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errShuttingDown()
	}
	if g = p.groups[v.ID]; g == nil {
		g = newGroup(p, v)
		p.groups[v.ID] = g
	}
	return g, nil
}

// drop forgets a group that is retired and empty.
func (p *Pool) drop(g *group) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups[g.version.ID] == g {
		delete(p.groups, g.version.ID)
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

// Run ends instances that were idle too long and keeps the wanted minimum up,
// until ctx ends.
func (p *Pool) Run(ctx context.Context) {
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
		g.review(now)
	}
}

// Close ends every instance, also those that are being started, and waits until
// all are gone, or ctx ends; then the error says how many are left. Requests that
// wait get CodeShuttingDown.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.ledger.close()
	p.end()
	for _, g := range p.allGroups() {
		g.close()
	}
	done := make(chan struct{})
	go func() { p.live.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		left := 0
		for _, g := range p.Stats().Groups {
			left += g.Starting + g.Dying
		}
		return fmt.Errorf("%d sandboxes could not be ended in time", left)
	}
}

// Closed says that Close was called: what ends from then on was ended by it.
func (p *Pool) Closed() bool { return p.ending.Err() != nil }

func errShuttingDown() *cove.Error {
	return cove.Errorf(cove.CodeShuttingDown, "Cove is shutting down; try again in a moment")
}

// GroupStats are the instances of one version.
type GroupStats struct {
	Function  string `json:"function"`
	Version   int    `json:"version"`
	Isolation string `json:"isolation"`
	Starting  int    `json:"starting"`
	Idle      int    `json:"idle"`
	Busy      int    `json:"busy"`
	Dying     int    `json:"dying"`
	Waiting   int    `json:"waiting"`
}

// Stats are the pool's state at one moment.
type Stats struct {
	// Budget is what all sandboxes may reserve and Reserved what they do.
	Budget   cove.ByteSize
	Reserved cove.ByteSize
	// Stuck is how many sandboxes were told to end and have not been seen dead
	// in time.
	Stuck  int
	Groups []GroupStats
}

// Stats describes the pool for people.
func (p *Pool) Stats() Stats {
	s := Stats{Budget: p.o.Memory, Reserved: p.ledger.reserved(), Stuck: int(p.stuck.Load())}
	for _, g := range p.allGroups() {
		s.Groups = append(s.Groups, g.stats())
	}
	return s
}
