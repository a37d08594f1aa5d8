package pool

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/covefn/cove"
	"github.com/covefn/cove/internal/driver"
	"github.com/covefn/cove/internal/logs"
	rt "github.com/covefn/cove/internal/runtime"
)

// instance is a sandbox that runs one version.
type instance struct {
	*cell
	group    *group
	logs     *logs.Stream
	logsDone chan struct{}
	// mux is nil where an instance serves one request at a time.
	mux *rt.Mux

	// class is how it was made; startTook and initTook are how long that took.
	class               cove.StartClass
	startTook, initTook time.Duration

	// These are guarded by the group's lock. active is how many requests it
	// serves, since when it is idle, freeze not nil when it is frozen or about to
	// be. One that is warmed was asked for and has served nobody since; one that has
	// served has done so at least once. A draining instance serves what it has and
	// nobody else; an outgoing one serves until others are there in its place.
	active      int
	since       time.Time
	warmed      bool
	served      bool
	freeze      *freeze
	outgoing    bool
	draining    bool
	drainReason string
	dying       bool
	// parts is into how many its weight for processor time is divided.
	parts int

	// stuck is set when its end takes too long for anybody to count on what it
	// has reserved. Only its keeper touches it.
	stuck bool
	// cpu is the sandbox's CPU time when it was measured last, in nanoseconds, and
	// loaded what it was when the function had been loaded.
	cpu    atomic.Int64
	loaded time.Duration
	// measured is when its memory was looked at last, in nanoseconds since 1970, and
	// peak the most that it had held until then.
	measured, peak atomic.Int64

	doomed context.Context
	doom   func(reason string)
}

// freeze is one freezing of an instance, which goes on beside the group.
type freeze struct {
	done chan struct{} // closed when err is set
	err  error
}

// newInstance makes an instance of a cell. From here on its keeper sees to its
// end, and to all that it holds.
func newInstance(g *group, c *cell, class cove.StartClass) *instance {
	v := g.version
	in := &instance{
		cell: c, group: g, class: class, since: time.Now(), parts: 1,
		logs:     g.pool.o.Logs.Stream(v.Function, v.Number, c.id),
		logsDone: make(chan struct{}),
	}
	if g.concurrency > 1 {
		in.logs.Share()
	}
	doomed, doom := context.WithCancelCause(context.Background())
	in.doomed, in.doom = doomed, func(reason string) { doom(errors.New(reason)) }
	g.pool.live.Go(in.drain)
	g.pool.live.Go(in.keep)
	return in
}

// drain reads what the sandbox prints, for as long as it lives.
func (in *instance) drain() {
	defer close(in.logsDone)
	in.logs.Drain(in.sandbox.Logs())
}

// keep waits for the end of the instance, by itself or by doom, and removes it.
func (in *instance) keep() {
	_, err := in.sandbox.Wait(in.doomed)
	reason := "ended by itself"
	if err != nil && in.doomed.Err() != nil {
		reason = context.Cause(in.doomed).Error()
	}
	in.group.died(in, reason) // Nobody may be given it any more.
	in.stuck = in.group.pool.destroy(in.cell, reason)
	in.group.mu.Lock() // Its function may just have been loaded.
	mux := in.mux
	in.group.mu.Unlock()
	if mux != nil {
		_ = mux.Close()
	}
	<-in.logsDone
	in.group.gone(in)
}

const (
	// freezeTimeout bounds the freezing and the thawing of an instance.
	freezeTimeout = time.Second
	// endingTimeout is how long a sandbox whose stream has ended may take to end.
	endingTimeout = 3 * time.Second
)

// pause freezes an idle instance, beside everything else. The lock is held.
func (g *group) pause(in *instance) {
	f := &freeze{done: make(chan struct{})}
	in.freeze = f
	g.pool.live.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), freezeTimeout)
		defer cancel()
		f.err = in.sandbox.Pause(ctx)
		close(f.done)
		if f.err != nil {
			if !errors.Is(f.err, driver.ErrDead) {
				g.pool.o.Log.Warn("an instance could not be frozen", "sandbox", in.id, "error", f.err)
			}
			g.fail(in, "it could not be frozen")
		}
	})
}

// thaw lets a frozen instance go on. It is not bounded by the caller's patience:
// breaking it off would be the end of the instance.
func (in *instance) thaw(f *freeze) error {
	<-f.done // Bounded by freezeTimeout.
	if f.err != nil {
		return f.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), freezeTimeout)
	defer cancel()
	return in.sandbox.Resume(ctx)
}

// ending says how a sandbox whose stream has ended did end. One that closed its
// stream and lives on is given until the deadline, and not long, and then stopped;
// late says that it was the deadline.
func (in *instance) ending(deadline time.Time) (exit driver.Exit, late bool) {
	patience := time.Now().Add(endingTimeout)
	if late = deadline.Before(patience); late {
		patience = deadline
	}
	ctx, cancel := context.WithDeadline(context.Background(), patience)
	defer cancel()
	exit, err := in.sandbox.Wait(ctx)
	if err != nil {
		in.group.pool.stop(in.cell)
		return driver.Exit{Code: -1}, late
	}
	return exit, false
}

// describe says in words how a process ended.
func describe(e driver.Exit) string {
	switch {
	case e.Signal != 0:
		return fmt.Sprintf("signal %d", e.Signal)
	case e.Code < 0:
		return "it closed its connection to the platform"
	default:
		return fmt.Sprintf("exit code %d", e.Code)
	}
}
